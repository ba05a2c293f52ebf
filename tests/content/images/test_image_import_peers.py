"""What skopeo and umoci write is imported, and what is stored is what the real skopeo reads."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.image_layouts import INDEX, REF_NAME, Layout, mirrored, skopeo_copy

from netboot.content.images.image_import import ImportedImages
from netboot.content.images.image_store import ImageStore
from netboot.errors import ContentError

Import = Callable[..., ImportedImages]
NAME = "container-registry.oracle.com/olcne/ui:1.33"


def run(*command: str | Path) -> bytes:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=60).stdout


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """An image of two layers that umoci built."""
    layout = tmp_path / "built"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:1.33")
    for number in range(2):
        tree = tmp_path / f"tree{number}"
        tree.mkdir()
        (tree / "file").write_bytes(bytes([number]) * 100_000)
        run("umoci", "insert", "--image", f"{layout}:1.33", tree, f"/usr/{number}")
    return layout


def two_architectures(directory: Path) -> tuple[Path, str]:
    layout = Layout()
    digest = layout.name(layout.index(layout.image("ui"), layout.image("ui", cpu="arm64")), "1.33")
    return layout.write(directory), digest


def read_back(store: ImageStore, name: str, tag: str, to: Path, *, all_of_it: bool = False) -> Path:
    """Lay a stored image out as the specification states it, and copy it with the real skopeo."""
    repository = store.repository(name)
    assert repository is not None
    digest = repository.tags[tag]
    described = {
        "mediaType": repository.manifests[digest].media_type,
        "digest": digest,
        "size": repository.manifests[digest].size_bytes,
        "annotations": {REF_NAME: tag},
    }
    layout = to.with_name(f"{to.name}-layout")
    (layout / "blobs").mkdir(parents=True)
    (layout / "blobs/sha256").symlink_to(store.root / "blobs/sha256")
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    skopeo_copy(f"oci:{layout}:{tag}", f"dir:{to}", *(["--all"] if all_of_it else []))
    return to


def blobs_of(copied: Path) -> dict[str, str]:
    """Return the checksum of each blob of a copy by its name."""
    names = (path for path in copied.iterdir() if len(path.name) == 64)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in names}


def inspected(reference: str) -> Any:
    return json.loads(run("skopeo", "inspect", "--raw", reference))


@pytest.mark.parametrize(
    ("destination", "given"),
    [
        (f"oci-archive:{{}}:{NAME}", ""),
        ("oci-archive:{}", "olcne/ui:1.33"),
        (f"oci:{{}}:{NAME}", ""),
        ("dir:{}", "olcne/ui:1.33"),
    ],
)
def test_what_skopeo_wrote_is_imported_and_read_back_with_its_digest(
    tmp_path: Path, built: Path, imported: Import, store: ImageStore, destination: str, given: str
):
    skopeo_copy(f"oci:{built}:1.33", destination.format(tmp_path / "copied"))

    done = imported(tmp_path / "copied", given)

    manifest = run("skopeo", "inspect", "--raw", f"oci:{built}:1.33")
    assert [(each.name, each.digest, each.platforms) for each in done.images] == [
        ("olcne/ui:1.33", f"sha256:{hashlib.sha256(manifest).hexdigest()}", ("linux/amd64",))
    ]
    copied = read_back(store, "olcne/ui", "1.33", tmp_path / "back")
    assert (copied / "manifest.json").read_bytes() == manifest
    assert blobs_of(copied) == {name: name for name in blobs_of(copied)}
    assert len(blobs_of(copied)) == 3


def test_what_umoci_wrote_is_imported(built: Path, imported: Import, store: ImageStore):
    assert [each.name for each in imported(built, "olcne/ui").images] == ["olcne/ui:1.33"]


def test_a_docker_archive_of_skopeo_is_imported_and_read_back(
    tmp_path: Path, built: Path, imported: Import, store: ImageStore
):
    archive = tmp_path / "ui.tar"
    skopeo_copy(f"oci:{built}:1.33", f"docker-archive:{archive}:{NAME}", "--additional-tag", "quay.io/other/ui:2")

    done = imported(archive)

    assert sorted(each.name for each in done.images) == ["olcne/ui:1.33", "other/ui:2"]
    config = json.loads(run("skopeo", "inspect", "--config", f"docker-archive:{archive}"))
    copied = read_back(store, "olcne/ui", "1.33", tmp_path / "back")
    assert json.loads(run("skopeo", "inspect", "--config", f"dir:{copied}")) == config
    assert blobs_of(copied) == {name: name for name in blobs_of(copied)}
    assert {*config["rootfs"]["diff_ids"]} <= {f"sha256:{name}" for name in blobs_of(copied)}


def test_an_index_that_skopeo_copied_alone_is_refused(tmp_path: Path, imported: Import):
    source, _ = two_architectures(tmp_path / "source")
    skopeo_copy(f"oci:{source}:1.33", f"dir:{tmp_path / 'copied'}", "--multi-arch=index-only")

    with pytest.raises(ContentError, match="is an index without any of its images"):
        imported(tmp_path / "copied", "olcne/ui:1.33")


def test_all_architectures_of_an_index_are_imported_and_read_back(tmp_path: Path, imported: Import, store: ImageStore):
    source, digest = two_architectures(tmp_path / "source")
    archive = tmp_path / "ui.tar"
    skopeo_copy(f"oci:{source}:1.33", f"oci-archive:{archive}:{NAME}", "--all")

    done = imported(archive)

    assert [(each.digest, each.platforms) for each in done.images] == [(digest, ("linux/amd64", "linux/arm64"))]
    copied = read_back(store, "olcne/ui", "1.33", tmp_path / "back", all_of_it=True)
    assert json.loads((copied / "manifest.json").read_text())["mediaType"] == INDEX
    assert len(list(copied.glob("*.manifest.json"))) == 2
    assert blobs_of(copied) == {name: name for name in blobs_of(copied)}


def test_the_archives_of_a_mirror_written_by_skopeo_are_imported(tmp_path: Path, imported: Import, store: ImageStore):
    names = [f"container-registry.oracle.com/olcne/{name}:1" for name in ("ui", "etcd")]
    directory = tmp_path / "archives"
    directory.mkdir()
    digests = []
    for number, name in enumerate(names):
        layout = Layout()
        digests.append(layout.name(layout.index(layout.image(name), layout.image(name, cpu="arm64")), "1"))
        source = layout.write(tmp_path / f"source{number}")
        skopeo_copy(f"oci:{source}:1", f"oci-archive:{directory}/{number}.oci:{name}", "--all")
    run("tar", "-C", directory, "-czf", tmp_path / "downloaded-images.tgz", ".")

    done = imported(tmp_path / "downloaded-images.tgz")

    assert sorted(each.name for each in done.images) == ["olcne/etcd:1", "olcne/ui:1"]
    assert {each.digest for each in done.images} == set(digests)


@pytest.fixture
def podman() -> Iterator[Callable[..., bytes]]:
    """Podman with a storage of its own, whose path is short: it refuses a run root of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as directory:
        store = (f"--root={directory}/root", f"--runroot={directory}/run", "--storage-driver=vfs")
        yield lambda *arguments: run("podman", *store, "--cgroup-manager=cgroupfs", *arguments)


def test_what_podman_saved_is_imported_with_all_names(
    tmp_path: Path, built: Path, imported: Import, store: ImageStore, podman: Callable[..., bytes]
):
    other = Layout()
    other.name(other.image("other"), "quay.io/site/tool:2")
    skopeo_copy(f"oci:{built}:1.33", f"oci-archive:{tmp_path / 'ui.tar'}:{NAME}")
    podman("load", "-i", tmp_path / "ui.tar")
    podman("load", "-i", other.archive(tmp_path / "other.tar"))
    podman("tag", NAME, "localhost/mine:3")
    names = [NAME, "quay.io/site/tool:2", "localhost/mine:3"]
    podman("save", "-m", "-o", tmp_path / "many.tar", *names)
    podman("save", "--format=oci-archive", "-o", tmp_path / "one.tar", "quay.io/site/tool:2")

    many, one = imported(tmp_path / "many.tar"), imported(tmp_path / "one.tar")

    digests = {each.name: each.digest for each in many.images}
    assert set(digests) == {"olcne/ui:1.33", "site/tool:2", "mine:3"}
    assert digests["olcne/ui:1.33"] == digests["mine:3"] != digests["site/tool:2"]
    assert [each.name for each in one.images] == ["site/tool:2"]
    assert one.images[0].moved_from == digests["site/tool:2"]  # a Docker archive has no manifest of its own
    config = json.loads(podman("image", "inspect", NAME))[0]["Id"]
    copied = read_back(store, "olcne/ui", "1.33", tmp_path / "back")
    assert json.loads((copied / "manifest.json").read_text())["config"]["digest"] == f"sha256:{config}"
    assert blobs_of(copied) == {name: name for name in blobs_of(copied)}


def test_an_archive_of_the_test_is_one_that_skopeo_reads(tmp_path: Path):
    layout = Layout()
    layout.name(layout.image("ui"), NAME)
    archive = layout.archive(tmp_path / "ui.tar")
    mirrored(tmp_path / "mirror.tgz", [layout])

    assert inspected(f"oci-archive:{archive}")["layers"]
    listed = run("tar", "-tzf", tmp_path / "mirror.tgz").decode().split()
    assert listed == ["0.oci"]
