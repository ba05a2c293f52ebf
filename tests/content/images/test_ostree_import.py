"""Ostree container images become releases: the sample, every form, two releases, several architectures, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.content_listener import Recorder, content_listener
from fixtures.listeners import default_shares
from fixtures.ostree_images.commits import Commit, commit_tree, ostree, small_commit, small_tree
from fixtures.ostree_images.exporter import Form, exported
from fixtures.ostree_images.layouts import (
    docker_archive,
    make_image,
    oci_archive,
    pulled_by_ostree,
    write_index,
    written,
)

from netboot.content.images.image_store import ImageStore
from netboot.content.imports.archive_import import import_archive
from netboot.content.imports.ostree_image.ostree_import import ImportedOstreeImage, import_ostree_image
from netboot.content.imports.verify import repair, verify
from netboot.content.library.library import Library
from netboot.content.library.progress import NO_PROGRESS
from netboot.content.library.record import Record
from netboot.errors import ContentError
from netboot.model.image_name import ImageName

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SAMPLE = Path(__file__).parents[2] / "fixtures/ostree_images/ock-image-tiny.tar"
SAMPLE_COMMIT = "58a4a3e714ada7465a6e7e2d208cf0bc09fc3202d6b0e985009a36c1f59175c2"
SAMPLE_DIGEST = "sha256:12fb6b1e149854f9a150c14ad5e07e3ba9237b6495ebd34e510cde4ab5e92c94"
REPOSITORY = "olcne/ock-ostree"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "content")


def put(library: Library, path: Path, name: str | None = None, image: str = "") -> ImportedOstreeImage:
    return import_ostree_image(library, path, name, image=ImageName.parse(image) if image else None, now=NOW)


def release(library: Library, name: str) -> Path:
    return library.directory / "ostree" / name


def listed(repo: Path, commit: str) -> str:
    """List every file of a commit with owner, mode, attributes and checksum, as the real ostree reads it."""
    return ostree("ls", "-RCX", f"--repo={repo}", commit)


def tags_of(library: Library, repository: str = REPOSITORY) -> dict[str, str]:
    found = ImageStore(library.directory).repository(repository)
    return dict(found.tags) if found else {}


def objects_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in (root / "objects").rglob("*.*")}


def test_the_sample_becomes_a_release_and_stays_an_image(library: Library) -> None:
    done = put(library, SAMPLE, "ock-1.33")

    root = release(library, "ock-1.33")
    assert (done.image, done.tags, done.notes) == (f"{REPOSITORY}@{SAMPLE_DIGEST}", ("1.33", "ock-1.33"), ())
    assert [(each.name, each.is_new, each.ref, each.commit, each.object_count) for each in done.releases] == [
        ("ock-1.33", True, "ock", SAMPLE_COMMIT, 23)
    ]
    assert "no errors found" in ostree("fsck", f"--repo={root}")
    assert ostree("rev-parse", f"--repo={root}", "ock").strip() == SAMPLE_COMMIT
    assert tags_of(library) == {"1.33": SAMPLE_DIGEST, "ock-1.33": SAMPLE_DIGEST}
    record = Record.read(root)
    assert record is not None
    assert replace(record, size_bytes=0) == Record(
        source="ock-image-tiny.tar",
        source_digest=SAMPLE_DIGEST,
        content_digest=SAMPLE_DIGEST,
        imported_at="2026-11-30T00:00:00+00:00",
        architecture="amd64",
        ref="ock",
        commit=SAMPLE_COMMIT,
        object_count=23,
        pull_count=23,
        image=f"{REPOSITORY}@{SAMPLE_DIGEST}",
    )
    assert record.size_bytes == sum((root / each).stat().st_size for each in objects_of(root))
    assert verify(library.find("ock-1.33")).is_sound


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(Form(chunks=3), id="gzip"),
        pytest.param(Form(chunks=0), id="one-layer"),
        pytest.param(Form(packing="zstd"), id="zstd"),
        pytest.param(Form(packing="zstd:chunked"), id="zstd-chunked"),
        pytest.param(Form(packing="none"), id="plain"),
        pytest.param(Form(xattrs="older"), id="older"),
    ],
)
def test_every_form_gives_the_commit_that_ostree_made(tmp_path: Path, library: Library, form: Form) -> None:
    made = make_image(tmp_path, "A", form)

    done = put(library, made.archive, "ock")
    from_directory = put(Library(tmp_path / "second"), made.layout, "ock")

    root = release(library, "ock")
    assert (done.releases[0].commit, done.image) == (made.commit.checksum, f"{REPOSITORY}@{made.manifest_digest}")
    assert from_directory == replace(done, releases=from_directory.releases)
    assert "no errors found" in ostree("fsck", f"--repo={root}")
    assert listed(root, "ock") == listed(made.commit.repo, made.commit.checksum)
    assert objects_of(root) == objects_of(made.commit.repo)
    store = ImageStore(library.directory)
    blobs = {f"sha256:{path.name}": path.read_bytes() for path in (made.layout / "blobs/sha256").iterdir()}
    assert {digest: store.blob_path(digest).read_bytes() for digest in store.blobs()} == blobs


@pytest.mark.skipif(os.geteuid() != 0, reason="tar needs root to set owners")
def test_the_release_is_the_one_that_ostree_itself_pulls_from_the_layers(tmp_path: Path, library: Library) -> None:
    made = make_image(tmp_path, "A", Form(chunks=3))

    put(library, made.archive, "ock")

    pulled = pulled_by_ostree(made.layout, tmp_path / "peer", made.commit.checksum)
    assert listed(release(library, "ock"), "ock") == listed(pulled, "ock")
    assert objects_of(release(library, "ock")) == objects_of(pulled)


def test_a_machine_pulls_an_imported_image_and_checks_out_the_same_tree(tmp_path: Path, library: Library) -> None:
    tree = small_tree(tmp_path / "tree")
    commit = commit_tree(tmp_path / "repo", tree)
    made = written(exported(commit), commit, tmp_path)
    put(library, made.archive, "ock")
    pulled, checkout = tmp_path / "pulled", tmp_path / "checkout"
    ostree("init", f"--repo={pulled}", "--mode=bare-user")

    with content_listener(library.directory, Recorder(), shares=default_shares()) as port:
        url = f"http://127.0.0.1:{port}/ostree/ock"
        ostree("remote", "add", f"--repo={pulled}", "--no-gpg-verify", "ock", url)
        ostree("pull", f"--repo={pulled}", "ock", "ock")
    ostree("checkout", f"--repo={pulled}", "-U", "ock:ock", checkout)

    assert (
        subprocess.run(["diff", "-r", "--no-dereference", tree, checkout], capture_output=True, text=True).stdout == ""
    )
    assert "no errors found" in ostree("fsck", f"--repo={pulled}")


def test_a_second_import_does_nothing_and_another_commit_is_refused(tmp_path: Path, library: Library) -> None:
    a, b = make_image(tmp_path, "A"), make_image(tmp_path, "B")
    first = put(library, a.archive, "ock")
    before = {path: path.stat() for path in library.directory.rglob("*") if path.is_file() and path.name != ".lock"}

    second = put(library, a.layout, "ock")

    assert second == replace(
        first,
        is_new=False,
        releases=(replace(first.releases[0], is_new=False, linked_bytes=first.releases[0].size_bytes),),
    )
    after = {path: path.stat() for path in library.directory.rglob("*") if path.is_file() and path.name != ".lock"}
    assert {path: status.st_ino for path, status in after.items()} == {
        path: status.st_ino for path, status in before.items()
    }
    with pytest.raises(ContentError) as refused:
        put(library, b.archive, "ock")
    assert str(refused.value) == (
        f"release ock exists already with commit {a.commit.checksum[:12]}, and ock.tar has {b.commit.checksum[:12]}; "
        "a release never changes: choose another name by --name"
    )


def test_the_next_release_links_what_is_there_and_moves_no_tag(tmp_path: Path, library: Library) -> None:
    a, b = make_image(tmp_path, "A", Form(chunks=20)), make_image(tmp_path, "B", Form(chunks=20))
    put(library, a.archive, "ock-a")

    done = put(library, b.archive, "ock-b")

    shared = objects_of(a.commit.repo) & objects_of(b.commit.repo)
    linked = {each for each in shared if (release(library, "ock-b") / each).stat().st_nlink == 2}
    assert linked == shared
    assert len(shared) > 40
    assert done.releases[0].linked_bytes == sum((release(library, "ock-b") / each).stat().st_size for each in shared)
    assert "no errors found" in ostree("fsck", f"--repo={release(library, 'ock-b')}")
    assert tags_of(library) == {"1.33": a.manifest_digest, "ock-a": a.manifest_digest, "ock-b": b.manifest_digest}
    assert done.notes == (
        f"the tag 1.33 of {REPOSITORY} still names {a.manifest_digest}, so that no node updates by an import; netboot "
        f"content import-image … --image {REPOSITORY}:1.33 moves it",
    )


def test_a_damaged_object_of_another_release_is_not_linked(tmp_path: Path, library: Library) -> None:
    made = make_image(tmp_path, "A")
    put(library, made.archive, "ock-a")
    large, small = _large_and_small(release(library, "ock-a"))
    for path in (large, small):
        data = bytearray(path.read_bytes())
        data[-10] ^= 1
        path.write_bytes(data)

    put(library, made.archive, "ock-b")

    assert "no errors found" in ostree("fsck", f"--repo={release(library, 'ock-b')}")


def _large_and_small(root: Path) -> tuple[Path, Path]:
    files = sorted((root / "objects").rglob("*.filez"), key=lambda path: path.stat().st_size)
    return files[-1], files[len(files) // 2]


def test_a_release_is_repaired_from_its_image(tmp_path: Path, library: Library) -> None:
    made, other = make_image(tmp_path, "A"), make_image(tmp_path, "B")
    put(library, made.archive, "ock")
    large, small = _large_and_small(release(library, "ock"))
    large.write_bytes(large.read_bytes()[:-1])
    small.unlink()
    entry = library.find("ock")
    verdict = verify(entry)

    with library.changing() as staging:
        repaired = repair(staging, entry, verdict, made.archive, progress=NO_PROGRESS)
    with library.changing() as staging, pytest.raises(ContentError, match="has not the commit"):
        repair(staging, entry, verdict, other.archive, progress=NO_PROGRESS)

    assert set(repaired) == {str(path.relative_to(entry.path)) for path in (large, small)}
    assert verify(entry).is_sound


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_damaged_blob_is_replaced_by_the_next_import(tmp_path: Path, library: Library, is_cut: bool) -> None:
    made = make_image(tmp_path, "A")
    put(library, made.archive, "ock")
    blob = ImageStore(library.directory).blob_path(made.manifest["layers"][1]["digest"])
    good = blob.read_bytes()
    blob.write_bytes(good[:-1] if is_cut else good[:-1] + bytes([good[-1] ^ 1]))

    put(library, made.archive, "ock")

    assert blob.read_bytes() == good


def test_a_docker_archive_gets_a_manifest_and_a_note(tmp_path: Path, library: Library) -> None:
    made = make_image(tmp_path, "A")
    archive = docker_archive(made.layout, tmp_path / "ock-1.33.tar", "registry.example:5000/rack/ock:7")

    done = put(library, archive)

    assert (done.name, done.tags, done.image.partition("@")[0]) == ("ock-1.33", ("7", "ock-1.33"), "rack/ock")
    assert done.image.partition("@")[2] != made.manifest_digest
    assert done.notes == (
        "it is a docker-archive, which has no manifest: one was made, and its digest is not that of the registry",
    )
    assert done.releases[0].commit == made.commit.checksum
    assert put(library, archive).is_new is False


def test_each_architecture_becomes_a_release_and_the_tag_names_the_index(tmp_path: Path, library: Library) -> None:
    commits = {
        "amd64": small_commit(tmp_path / "amd64", "A"),
        "arm64": small_commit(tmp_path / "arm64", "B"),
    }
    images = [exported(commit, Form(architecture=each)) for each, commit in commits.items()]
    layout = write_index(tmp_path / "oci", images)

    done = put(library, oci_archive(layout, tmp_path / "ock-1.33.tar"))

    (index,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifests = json.loads((layout / "blobs/sha256" / index["digest"][7:]).read_text())["manifests"]
    digests = {each["platform"]["architecture"]: each["digest"] for each in manifests}
    assert done.image == f"{REPOSITORY}@{index['digest']}"
    assert {each.name: each.commit for each in done.releases} == {
        f"ock-1.33-{architecture}": commit.checksum for architecture, commit in commits.items()
    }
    assert tags_of(library) == {
        "1.33": index["digest"],
        "ock-1.33": index["digest"],
        "ock-1.33-amd64": digests["amd64"],
        "ock-1.33-arm64": digests["arm64"],
    }
    assert put(library, layout, "ock-1.33").is_new is False


@pytest.fixture(scope="module")
def large_image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Commit]:
    """An image whose import takes long enough to be killed."""
    directory = tmp_path_factory.mktemp("large")
    tree = small_tree(directory / "tree")
    for number in range(40):
        (tree / f"usr/part{number}").write_bytes(bytes([number]) * 900_000 + os.urandom(400_000))
    commit = commit_tree(directory / "repo", tree)
    return written(exported(commit, Form(chunks=8)), commit, directory).archive, commit


IMPORT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from netboot.content.imports.ostree_image.ostree_import import import_ostree_image
from netboot.content.library.library import Library
import_ostree_image(Library(Path(sys.argv[1])), Path(sys.argv[2]), "ock", now=datetime.now(UTC))
"""


def test_an_image_is_imported_on_a_cpu_for_which_isa_l_has_no_package(tmp_path: Path, library: Library) -> None:
    made = make_image(tmp_path, "A")
    without = "import importlib.util as util; util.find_spec = lambda name: None"

    subprocess.run([sys.executable, "-c", without + IMPORT, str(library.directory), str(made.archive)], check=True)

    assert "no errors found" in ostree("fsck", f"--repo={release(library, 'ock')}")
    assert put(library, made.archive, "ock").is_new is False


@pytest.mark.parametrize("count", [1, 20, 45])
def test_an_import_that_is_killed_leaves_nothing_published_and_the_next_continues(
    library: Library, large_image: tuple[Path, Commit], count: int
) -> None:
    archive, commit = large_image
    process = subprocess.Popen([sys.executable, "-c", IMPORT, str(library.directory), str(archive)])
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if len(list(library.directory.glob(".staging/*/release-*/objects/??/*.filez"))) >= count:
            break
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not release(library, "ock").exists()
    assert ImageStore(library.directory).repositories() == []

    done = put(library, archive, "ock")

    assert done.releases[0].linked_bytes > 0
    assert "no errors found" in ostree("fsck", f"--repo={release(library, 'ock')}")
    assert objects_of(release(library, "ock")) == objects_of(commit.repo)
    assert list((library.directory / ".staging").iterdir()) == []


def test_an_import_that_ended_before_the_tag_was_written_is_completed(tmp_path: Path, library: Library) -> None:
    made = make_image(tmp_path, "A")
    first = put(library, made.archive, "ock")
    (library.directory / "images/repositories" / REPOSITORY / "_repository.json").unlink()

    again = put(library, made.archive, "ock")

    assert (again.image, again.tags) == (first.image, first.tags)
    assert again.releases[0].is_new is False
    assert tags_of(library) == {"1.33": made.manifest_digest, "ock": made.manifest_digest}


def test_a_release_that_was_imported_as_an_archive_gets_its_image(tmp_path: Path, library: Library) -> None:
    made = make_image(tmp_path, "A")
    import_archive(library, made.commit.repo, "ock", now=NOW)

    done = put(library, made.archive, "ock")

    record = library.find("ock").record
    assert record is not None
    assert (done.releases[0].is_new, record.image, record.source) == (False, done.image, "repo")


@pytest.mark.parametrize(
    ("image", "repository", "tags"),
    [
        ("", REPOSITORY, {"1.33", "ock"}),
        ("rack/os", "rack/os", {"1.33", "ock"}),
        ("registry.example/rack/os:blue", "rack/os", {"blue", "ock"}),
    ],
)
def test_the_operator_names_repository_and_tag(
    tmp_path: Path, library: Library, image: str, repository: str, tags: set[str]
) -> None:
    done = put(library, make_image(tmp_path, "A").archive, "ock", image)

    assert set(tags_of(library, repository)) == tags
    assert done.image.startswith(f"{repository}@")


def test_a_requested_tag_is_moved_but_not_one_that_another_release_has(tmp_path: Path, library: Library) -> None:
    a, b = make_image(tmp_path, "A"), make_image(tmp_path, "B")
    put(library, a.archive, "ock-a")

    put(library, b.archive, "ock-b", f"{REPOSITORY}:1.33")
    with pytest.raises(ContentError) as refused:
        put(library, b.archive, "ock-b", f"{REPOSITORY}:ock-a")

    assert tags_of(library)["1.33"] == b.manifest_digest
    assert str(refused.value) == (
        "the tag ock-a is not set: ock-a is the name of another release, medium or alias; choose another tag by "
        "--image, or netboot content promote"
    )
    with pytest.raises(ContentError, match="a digest cannot be chosen; give REPOSITORY or REPOSITORY:TAG"):
        put(library, b.archive, "ock-b", f"{REPOSITORY}@{a.manifest_digest}")


def test_two_images_of_one_architecture_are_refused(tmp_path: Path, library: Library) -> None:
    a, b = small_commit(tmp_path / "a", "A"), small_commit(tmp_path / "b", "B")

    with pytest.raises(ContentError) as refused:
        put(library, write_index(tmp_path / "oci", [exported(a), exported(b)]), "ock")

    assert str(refused.value) == (
        "oci holds images of the architectures 'amd64', 'amd64'; a release is made for each, so they must differ: copy "
        "one image alone by skopeo copy --override-arch"
    )
