"""An archive made by the real `ostree`, and a boot medium beside it."""

import hashlib
import io
import json
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest


def ostree(*arguments: str | Path) -> str:
    """Run the real program."""
    return subprocess.run(
        ["ostree", *map(str, arguments)], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def make_archive(repo: Path, tree: Path, *, ref: str = "ock") -> str:
    """Commit a tree into an archive as the OCK build does; return the commit."""
    ostree("init", f"--repo={repo}", "--mode=archive")
    return ostree(
        "commit",
        f"--repo={repo}",
        f"--branch={ref}",
        f"--tree=dir={tree}",
        "--owner-uid=0",
        "--owner-gid=0",
        "-s",
        "OCK",
    ).strip()


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind: nested, empty, equal, linked, large, with names in UTF-8; a directory wide enough that its
    framing offsets take four bytes."""
    root = tmp_path_factory.mktemp("tree")
    wide = root / "usr" / "share" / "wide"
    wide.mkdir(parents=True)
    for n in range(300):
        (wide / f"file-with-a-long-name-{n:06}-{'x' * 200}").write_text(str(n))
    (root / "usr" / "empty").mkdir()
    (root / "usr" / "bin").mkdir()
    (root / "usr" / "bin" / "a").write_bytes(b"same")
    (root / "usr" / "bin" / "b").write_bytes(b"same")
    (root / "usr" / "bin" / "link").symlink_to("a")
    (root / "usr" / "bin" / "b").chmod(0o755)
    (root / "é").write_bytes(bytes(300_000))
    return root


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, tree: Path) -> Path:
    """A repository that tests only read."""
    repo = tmp_path_factory.mktemp("repo") / "ock"
    make_archive(repo, tree)
    return repo


@pytest.fixture
def content_directory(tmp_path: Path, archive: Path) -> Path:
    """A content directory with one medium `ol8` and one release `ock-1`, free to be changed."""
    root = tmp_path / "content"
    repo = root / "ostree" / "ock-1"
    shutil.copytree(archive, repo)
    medium = root / "media" / "ol8"
    (medium / "images").mkdir(parents=True)
    (medium / "vmlinuz").write_bytes(b"kernel")
    (medium / "initrd.img").write_bytes(b"initrd")
    (medium / "images" / "install.img").write_bytes(b"stage2" * 20_000)
    return root


REPOSITORY = "usr/share/nginx/html/ostree"


class Images:
    """Makes container archives by hand, exactly as `podman save` lays them out; a layer maps names to bytes.

    A value of None is a directory, a value of type str a hard link.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._count = 0

    def repository(self, archive: Path, *, leave_out: str = "?") -> dict[str, bytes | str | None]:
        """Take a repository's files as they lie in the image, without those whose name contains `leave_out`."""
        paths = (path for path in sorted(archive.rglob("*")) if path.is_file())
        names = {f"{REPOSITORY}/{path.relative_to(archive)}": path.read_bytes() for path in paths}
        return {name: data for name, data in names.items() if leave_out not in name}

    def layer(self, files: Mapping[str, bytes | str | None]) -> bytes:
        """Write one layer's tar by Python's tarfile."""
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                if data is None:
                    member.type = tarfile.DIRTYPE
                elif isinstance(data, str):
                    member.type, member.linkname = tarfile.LNKTYPE, data
                else:
                    member.size = len(data)
                tar.addfile(member, io.BytesIO(data) if isinstance(data, bytes) else None)
        return made.getvalue()

    def oci_blobs(
        self, layers: Sequence[bytes], *, pack: Callable[[bytes], bytes] = bytes, architecture: str = "amd64"
    ) -> dict[str, bytes]:
        """Lay out an OCI image of these layers: the archive's members by name."""
        blobs: dict[str, bytes] = {}

        def blob(data: bytes, kind: str) -> dict[str, object]:
            digest = hashlib.sha256(data).hexdigest()
            blobs[f"blobs/sha256/{digest}"] = data
            media_type = f"application/vnd.oci.image.{kind}"
            return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

        diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        manifest = {
            "schemaVersion": 2,
            "config": blob(json.dumps(config).encode(), "config.v1+json"),
            "layers": [blob(pack(layer), "layer.v1.tar") for layer in layers],
        }
        described = blob(json.dumps(manifest).encode(), "manifest.v1+json")
        index = {"schemaVersion": 2, "manifests": [described]}
        blobs["index.json"] = json.dumps(index).encode()
        return blobs | {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def docker_members(self, layers: Sequence[bytes]) -> dict[str, bytes]:
        """Lay out what `docker save` writes."""
        diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        config = json.dumps({"architecture": "arm64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
        manifest = [{"Config": name, "RepoTags": ["localhost/ock-ostree:latest"], "Layers": names}]
        files = dict(zip(names, layers, strict=True))
        return files | {name: config, "manifest.json": json.dumps(manifest).encode()}

    def write(self, members: Mapping[str, bytes], name: str = "ock-1.31-amd64-ostree.tar") -> Path:
        """Write an archive of these members in a directory of its own."""
        self._count += 1
        path = self.directory / str(self._count) / name
        path.parent.mkdir()
        path.write_bytes(self.layer(members))
        return path


@pytest.fixture
def images(tmp_path: Path) -> Images:
    directory = tmp_path / "images"
    directory.mkdir()
    return Images(directory)


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of few objects, one of them larger than what is compared in one piece; tests only read it."""
    root = tmp_path_factory.mktemp("small")
    tree = root / "tree"
    (tree / "usr").mkdir(parents=True)
    (tree / "usr" / "large").write_bytes(random.Random(1).randbytes(1_500_000))
    for number in range(40):
        (tree / "usr" / f"file{number}").write_text(f"{number}\n")
    (tree / "link").symlink_to("usr/file1")
    make_archive(root / "repo", tree)
    return root / "repo"
