"""A medium or release in a directory from which another web server serves it."""

import hashlib
from pathlib import Path

import pytest

from netboot.content.publish import DirectoryTarget, Published, PublishedFile, publish
from netboot.errors import ContentError

COMMIT = f"{'ab' * 31}.commit"


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A medium, and the skeleton of a release."""
    root = tmp_path / "content"
    files = {
        "media/ol8/vmlinuz": b"kernel",
        "media/ol8/initrd.img": b"initrd",
        "media/ol8/images/install.img": b"stage2",
        "media/ol8/.hidden": b"nobody's",
        "ostree/ock-1/config": b"[core]\nrepo_version=1\nmode=archive-z2\n",
        "ostree/ock-1/refs/heads/ock": b"ab" * 32 + b"\n",
        f"ostree/ock-1/objects/ab/{COMMIT}": b"commit",
        "ostree/ock-1/tmp/lock": b"nobody's",
    }
    for name, body in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    return root


def everything(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def sums(directory: Path) -> dict[str, str]:
    lines = (directory / "SHA256SUMS").read_text().splitlines()
    return {line[66:]: line[:64] for line in lines}


def test_a_release_is_copied_with_what_a_pull_asks_for_and_its_checksums(content: Path, tmp_path: Path) -> None:
    target = tmp_path / "www"

    done = publish(content, "ock-1", DirectoryTarget(target))

    there = everything(target / "ostree" / "ock-1")
    there.pop("SHA256SUMS")
    assert set(there) == {"config", "refs/heads/ock", f"objects/ab/{COMMIT}"}
    assert sums(target / "ostree" / "ock-1") == {name: hashlib.sha256(body).hexdigest() for name, body in there.items()}
    assert done == Published("ock-1", 3, 3, sum(map(len, there.values())))


def test_a_medium_is_copied_with_the_names_that_we_make_for_it(content: Path, tmp_path: Path) -> None:
    target = tmp_path / "www"

    publish(content, "ol8", DirectoryTarget(target))

    there = everything(target / "content" / "ol8")
    assert there["images/pxeboot/vmlinuz"] == there["vmlinuz"] == b"kernel"
    assert b"mainimage = images/install.img" in there[".treeinfo"]
    assert ".hidden" not in there


def test_what_is_there_and_the_same_is_left_alone(content: Path, tmp_path: Path) -> None:
    target = tmp_path / "www"
    publish(content, "ock-1", DirectoryTarget(target))
    damaged = target / "ostree" / "ock-1" / "objects" / "ab" / COMMIT
    untouched = (target / "ostree" / "ock-1" / "config").stat()
    damaged.write_bytes(b"comMit")

    done = publish(content, "ock-1", DirectoryTarget(target))

    assert (done.copied, done.copied_bytes) == (1, 6)
    assert damaged.read_bytes() == b"commit"
    assert (target / "ostree" / "ock-1" / "config").stat().st_mtime_ns == untouched.st_mtime_ns


def test_what_names_other_files_goes_last(content: Path) -> None:
    order: list[str] = []

    class Remembering:
        threads = 1

        def has(self, file: PublishedFile) -> bool:
            return not file.sha256

        def put(self, file: PublishedFile) -> None:
            order.append(file.key.removeprefix("ostree/ock-1/"))

    publish(content, "ock-1", Remembering())

    assert order == [f"objects/ab/{COMMIT}", "config", "refs/heads/ock", "SHA256SUMS"]


@pytest.mark.parametrize("name", ["nothing", "../ostree/ock-1", ".hidden", "media"])
def test_what_is_not_there_is_refused_by_name(content: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ContentError, match="cannot publish"):
        publish(content, name, DirectoryTarget(tmp_path / "www"))
