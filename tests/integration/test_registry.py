"""The registry over loopback to its clients: skopeo, podman, curl, in Debian's versions."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.content_listener import Recorder, content_listener
from fixtures.listeners import default_shares
from fixtures.stored_images import INDEX, MANIFEST, MadeImage, an_image, an_index, store_image

from netboot.model.release import ContentKind

pytestmark = pytest.mark.integration
TIMEOUT_S = 120.0
NAME = "olcne/ock-ostree"
COMMIT = "ab" * 32


@dataclass
class Registry:
    """A running registry with an image of one CPU and one of two."""

    port: int
    content: Path
    image: MadeImage
    several: MadeImage
    recorder: Recorder

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def curl(self, path: str, *options: str) -> str:
        command = ["curl", "-sS", *options, f"http://{self.host}/v2/{path}"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S).stdout

    def errors(self, path: str, *options: str) -> tuple[str, list[tuple[str, str]]]:
        """Return the status of an answer, and the code and text of each of its errors."""
        body, _, status = self.curl(path, "-w", "\n%{http_code}", *options).rpartition("\n")
        return status, [(each["code"], each["message"]) for each in json.loads(body)["errors"]]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    content = tmp_path / "content"
    content.mkdir()
    image = store_image(content, NAME, an_image(labels={"ostree.commit": COMMIT}), "1.33", "stable")
    several, recorder = store_image(content, "olcne/ui", an_index(), "v2"), Recorder()
    with content_listener(content, recorder, shares=default_shares()) as port:
        yield Registry(port, content, image, several, recorder)


def skopeo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["skopeo", "--insecure-policy", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)


def copied(*arguments: str | Path) -> None:
    done = skopeo("copy", "-q", "--src-tls-verify=false", *arguments)
    assert done.returncode == 0, done.stderr


def files_in(directory: Path) -> set[str]:
    """Return the SHA-256 of each file that `skopeo copy … dir:` wrote."""
    return {
        f"sha256:{hashlib.sha256(each.read_bytes()).hexdigest()}"
        for each in directory.iterdir()
        if each.name != "version"
    }


def test_skopeo_inspect_reads_what_ocne_update_reads_of_it(registry: Registry) -> None:
    """`ocne-update.sh` of OCK takes `.Digest` and `.Labels["ostree.commit"]` of exactly this command."""
    done = skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/{NAME}:1.33")

    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["Digest"], shown["Labels"]) == (registry.image.digest, {"ostree.commit": COMMIT})
    assert shown["RepoTags"] == ["1.33", "stable"]  # without the list of tags the command fails
    assert shown["Layers"] == registry.image.layers


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (f"{NAME}:1.34", f"reading manifest 1.34 in HOST/{NAME}: manifest unknown"),
        ("olcne/none:1.33", "reading manifest 1.33 in HOST/olcne/none: name unknown"),
    ],
)
def test_skopeo_inspect_names_what_is_unknown(registry: Registry, image: str, text: str) -> None:
    """`ocne-update.sh` prints it, and tries again after two minutes."""
    done = skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/{image}")

    assert (done.returncode, done.stdout) == (1, "")
    assert text.replace("HOST", registry.host) in done.stderr


def test_skopeo_lists_the_tags(registry: Registry) -> None:
    done = skopeo("list-tags", "--tls-verify=false", f"docker://{registry.host}/{NAME}")

    assert json.loads(done.stdout) == {"Repository": f"{registry.host}/{NAME}", "Tags": ["1.33", "stable"]}


@pytest.mark.parametrize("reference", [":1.33", "@"])
def test_skopeo_copies_an_image_by_tag_and_by_digest(registry: Registry, tmp_path: Path, reference: str) -> None:
    if reference == "@":
        reference += registry.image.digest

    copied(f"docker://{registry.host}/{NAME}{reference}", f"dir:{tmp_path / 'out'}")

    assert files_in(tmp_path / "out") == set(registry.image.blobs)


def test_skopeo_copies_the_images_of_all_cpus_and_their_index(registry: Registry, tmp_path: Path) -> None:
    copied("--all", f"docker://{registry.host}/olcne/ui:v2", f"dir:{tmp_path / 'out'}")

    assert files_in(tmp_path / "out") == set(registry.several.blobs)


def test_skopeo_copies_the_image_of_one_cpu_of_an_index(registry: Registry, tmp_path: Path) -> None:
    done = skopeo(
        "--override-arch=arm64",
        "copy",
        "--src-tls-verify=false",
        f"docker://{registry.host}/olcne/ui:v2",
        f"oci:{tmp_path / 'out'}:v2",
    )
    assert done.returncode == 0, done.stderr

    (entry,) = json.loads((tmp_path / "out/index.json").read_text())["manifests"]
    assert entry["digest"] == list(registry.several.manifests)[1]


def test_skopeo_refuses_a_damaged_blob(registry: Registry, tmp_path: Path) -> None:
    layer = registry.image.layers[1]
    path = registry.content / "images/blobs/sha256" / layer.removeprefix("sha256:")
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)

    done = skopeo("copy", "--src-tls-verify=false", f"docker://{registry.host}/{NAME}:1.33", f"dir:{tmp_path / 'out'}")

    assert done.returncode == 1
    assert f"Digest did not match, expected {layer}" in done.stderr


def test_a_removed_blob_and_a_cut_manifest_are_errors_of_the_registry(registry: Registry) -> None:
    layer, blobs = registry.image.layers[1], registry.content / "images/blobs/sha256"
    assert registry.curl(f"{NAME}/blobs/{layer}", "-o", "/dev/null", "-w", "%{http_code}") == "200"
    (blobs / layer.removeprefix("sha256:")).unlink()
    (blobs / registry.image.digest.removeprefix("sha256:")).write_bytes(b"{}")

    assert registry.errors(f"{NAME}/blobs/{layer}") == ("404", [("BLOB_UNKNOWN", "blob unknown to registry")])
    assert registry.errors(f"{NAME}/manifests/1.33") == (
        "500",
        [("UNKNOWN", "the file cannot be read; the reason is in netboot's log")],
    )


def test_nothing_can_be_pushed(registry: Registry) -> None:
    here = f"docker://{registry.host}/{NAME}:1.33"
    done = skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", here, f"{here}-pushed")

    assert done.returncode == 1
    assert "unsupported: this registry is read only" in done.stderr
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        expected = ("405", [("UNSUPPORTED", "this registry is read only")])
        assert registry.errors(f"{NAME}/manifests/1.33", "-X", method, "-d", "{}") == expected


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{NAME}/manifests/1.34", "404", "MANIFEST_UNKNOWN"),
        ("olcne/none/manifests/1.33", "404", "NAME_UNKNOWN"),
        ("olcne/none/tags/list", "404", "NAME_UNKNOWN"),
        ("OLCNE/none/tags/list", "400", "NAME_INVALID"),
        ("olcne%2Fock-ostree/tags/list", "400", "NAME_INVALID"),
        (f"{NAME}/blobs/sha256:{'0' * 64}", "404", "BLOB_UNKNOWN"),
        (f"{NAME}/blobs/..%2f..%2frepositories", "404", "BLOB_UNKNOWN"),
        ("no/such", "404", "NAME_UNKNOWN"),
    ],
)
def test_what_is_unknown_has_the_code_of_the_specification(
    registry: Registry, path: str, status: str, code: str
) -> None:
    found_status, errors = registry.errors(path, "--path-as-is")

    assert (found_status, [each for each, _ in errors]) == (status, [code])


def test_a_head_of_a_manifest_has_what_its_get_has(registry: Registry) -> None:
    for name, reference, digest, media_type in (
        (NAME, "1.33", registry.image.digest, MANIFEST),
        (NAME, registry.image.digest, registry.image.digest, MANIFEST),
        ("olcne/ui", "v2", registry.several.digest, INDEX),
    ):
        image = registry.image if name == NAME else registry.several
        fields = dict(
            line.split(": ", 1)
            for line in registry.curl(f"{name}/manifests/{reference}", "-I", "-H", "Accept: text/html").splitlines()
            if ": " in line
        )

        assert (fields["Content-Type"], fields["Content-Length"]) == (media_type, str(len(image.blobs[digest])))
        assert (fields["Docker-Content-Digest"], fields["ETag"]) == (digest, f'"{digest}"')
    assert registry.curl(f"{NAME}/manifests/none", "-I").startswith("HTTP/1.1 404 Not Found\n")


def test_a_client_that_knows_a_manifest_gets_304_until_its_tag_moves(registry: Registry) -> None:
    known = ("-H", f'If-None-Match: "{registry.image.digest}"', "-o", "/dev/null", "-w", "%{http_code}")

    assert registry.curl(f"{NAME}/manifests/1.33", *known) == "304"
    store_image(registry.content, NAME, an_image(seed=2), "1.33")

    assert registry.curl(f"{NAME}/manifests/1.33", *known) == "200"


def test_curl_resumes_a_blob(registry: Registry, tmp_path: Path) -> None:
    layer = registry.image.layers[1]
    data, part = registry.image.blobs[layer], tmp_path / "part"
    part.write_bytes(data[:123_456])

    registry.curl(f"{NAME}/blobs/{layer}", "-f", "-C", "-", "-o", str(part))

    assert part.read_bytes() == data


def test_a_client_gets_the_rest_of_the_tags_by_the_link(registry: Registry) -> None:
    store_image(registry.content, NAME, registry.image, *(f"v{n:04}" for n in range(1_500)))

    done = skopeo("list-tags", "--tls-verify=false", f"docker://{registry.host}/{NAME}")

    assert len(json.loads(done.stdout)["Tags"]) == 1_502


def test_what_was_sent_is_recorded_with_its_kind(registry: Registry, tmp_path: Path) -> None:
    copied(f"docker://{registry.host}/{NAME}:1.33", f"dir:{tmp_path / 'out'}")

    sent = [(file.kind, file.owner, file.member, size) for _, file, size in registry.recorder.served]
    manifest = (ContentKind.IMAGE_MANIFEST, NAME, "1.33", len(registry.image.blobs[registry.image.digest]))
    blobs = [
        (ContentKind.IMAGE_BLOB, "", "", len(data))
        for digest, data in registry.image.blobs.items()
        if digest != registry.image.digest
    ]
    assert sorted(each for each in sent if each[0] is not ContentKind.OTHER) == sorted([manifest, *blobs])


@pytest.fixture
def podman_root() -> Iterator[Path]:
    """Yield a directory with a short path: podman refuses a run root of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def test_podman_pulls_an_image_and_has_its_files(registry: Registry, podman_root: Path) -> None:
    """As root, into a directory of the test, without a container and so without a network of its own."""
    podman = ["podman", f"--root={podman_root}/root", f"--runroot={podman_root}/run", "--storage-driver=vfs"]

    def output(*arguments: str) -> str:
        done = subprocess.run([*podman, *arguments], check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    output("pull", "-q", "--tls-verify=false", f"{registry.host}/{NAME}:1.33")
    output("pull", "-q", "--tls-verify=false", f"{registry.host}/olcne/ui@{registry.several.digest}")

    (shown,) = json.loads(output("image", "inspect", f"{registry.host}/{NAME}:1.33"))
    assert (shown["Digest"], shown["Labels"]) == (registry.image.digest, {"ostree.commit": COMMIT})
    mounted = Path(output("image", "mount", f"{registry.host}/{NAME}:1.33").strip())
    assert sorted(each.stat().st_size for each in (mounted / "usr/share").iterdir()) == [1_000, 300_000]
    output("image", "unmount", "--all")
