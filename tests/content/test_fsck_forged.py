"""Archives with right checksums but other faults: our check beside `ostree fsck`.

Forged by hand from the formats (libostree's ostree-core.c), because no program makes such archives.
"""

import hashlib
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from struct import pack

import pytest

from netboot.content.imports.archive_import import import_archive
from netboot.content.library.library import Library
from netboot.content.ostree.fsck import check_archive
from netboot.errors import ContentError


class Forge:
    """An archive that is being written; each method writes one object and returns its digest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, kind: str, data: bytes, digest: bytes = b"") -> bytes:
        digest = digest or hashlib.sha256(data).digest()
        path = self.root / "objects" / digest.hex()[:2] / f"{digest.hex()[2:]}.{kind}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return digest

    def file(self, *, mode: int = 0o100644, device: int = 0, target: bytes = b"") -> bytes:
        fields = pack(">IIII", 0, 0, mode, device) + target + b"\0"
        named = fields + bytes((len(fields),))
        stored = pack(">Q", 1) + fields + bytes((8 + len(fields),))
        content, raw = (b"", b"") if mode & 0o170000 == 0o120000 else (b"x", zlib.compress(b"x", wbits=-15))
        digest = hashlib.sha256(pack(">II", len(named), 0) + named + content).digest()
        return self.put("filez", pack(">II", len(stored), 0) + stored + raw, digest)

    def tree(self, files: Sequence[tuple[bytes, bytes]], directories: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
        files_array, directories_array = _array(files), _array(directories)
        return self.put("dirtree", files_array + directories_array + bytes((len(files_array),)))

    def meta(self, mode: int = 0o040755) -> bytes:
        return self.put("dirmeta", pack(">III", 0, 0, mode))

    def commit(
        self,
        files: Sequence[tuple[bytes, bytes]] = (),
        directories: Sequence[tuple[bytes, bytes, bytes]] = (),
        *,
        meta: bytes = b"",
        parent: bytes = b"",
        ref: str = "heads/ock",
    ) -> bytes:
        """Write a commit of one directory, and the ref that names it."""
        head = parent + b"\0\0"  # no metadata, the parent, nothing related, no subject, no body
        time = (len(head) + 7) // 8 * 8
        tree = self.tree(files, directories)
        body = head.ljust(time, b"\0") + bytes(8) + tree
        ends = (len(body), len(head), len(head) - 1, len(parent), len(parent), 0)
        digest = self.put("commit", body + (meta or self.meta()) + bytes(ends))
        self.refer(ref, digest)
        return digest

    def refer(self, ref: str, digest: bytes) -> None:
        path = self.root / "refs" / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{digest.hex()}\n")


def _array(elements: Sequence[tuple[bytes, ...]]) -> bytes:
    body, ends = b"", b""
    for name, *digests in elements:
        element = b"".join((name, b"\0", *digests))
        offsets = [len(name) + 1 + 32 * number for number in range(len(digests))]
        body += element + bytes(reversed(offsets))
        ends += bytes((len(body),))
    return body + ends


@pytest.fixture
def forge(tmp_path: Path, small_archive: Path) -> Forge:
    root = tmp_path / "repo"
    shutil.copytree(small_archive, root)
    return Forge(root)


def ostree_finds_it_sound(repo: Path) -> bool:
    return subprocess.run(["ostree", "fsck", f"--repo={repo}"], capture_output=True, timeout=60).returncode == 0


def faults(forge: Forge) -> list[str]:
    return list(check_archive(forge.root, "ock").faults.values())


SOUND: dict[str, Callable[[Forge], object]] = {
    "a file": lambda forge: forge.commit([(b"a", forge.file())]),
    "a file that runs as its owner": lambda forge: forge.commit([(b"a", forge.file(mode=0o104755))]),
    "a link": lambda forge: forge.commit([(b"a", forge.file(mode=0o120777, target=b"/etc"))]),
    "a directory": lambda forge: forge.commit([], [(b"a", forge.tree([], []), forge.meta(0o041777))]),
    "a parent that is elsewhere": lambda forge: forge.commit(parent=bytes(32)),
    "a parent that was pulled in part": lambda forge: _partial_parent(forge),
}


def _partial_parent(forge: Forge) -> None:
    parent = forge.commit([(b"a", bytes(32))])
    (forge.root / "state").mkdir(exist_ok=True)
    (forge.root / "state" / f"{parent.hex()}.commitpartial").touch()
    forge.commit([(b"a", forge.file())], parent=parent)


@pytest.mark.parametrize("change", SOUND.values(), ids=SOUND)
def test_what_is_forged_well_is_sound(forge: Forge, change: Callable[[Forge], object]) -> None:
    change(forge)

    assert faults(forge) == []
    assert ostree_finds_it_sound(forge.root)


def test_a_release_with_a_parent_that_was_pulled_in_part_is_imported(forge: Forge, tmp_path: Path) -> None:
    _partial_parent(forge)

    import_archive(Library(tmp_path / "content"), forge.root, "ock", now=datetime(2026, 11, 21, tzinfo=UTC))

    assert ostree_finds_it_sound(tmp_path / "content" / "ostree" / "ock")


FORGED: dict[str, tuple[Callable[[Forge], object], str]] = {
    "a name that leads up": (lambda forge: forge.commit([(b"..", forge.file())]), "the name b'..' leads elsewhere"),
    "a name with a slash": (lambda forge: forge.commit([(b"a/b", forge.file())]), "the name b'a/b' leads elsewhere"),
    "a directory's name that leads up": (
        lambda forge: forge.commit([], [(b"..", forge.tree([], []), forge.meta())]),
        "the name b'..' leads elsewhere",
    ),
    "a name that is not a text": (
        lambda forge: forge.commit([(b"\xff", forge.file())]),
        r"the name b'\xff' is not UTF-8",
    ),
    "a parent's checksum that is short": (
        lambda forge: forge.commit(parent=b"abc"),
        "a checksum has 3 bytes instead of 32",
    ),
    "a directory that is a file": (
        lambda forge: forge.commit(meta=forge.meta(0o100644)),
        "its header has the mode 100644, which nothing in an archive has",
    ),
    "a directory without metadata": (
        lambda forge: forge.commit(meta=forge.put("dirmeta", b"")),
        "its header has the mode 0, which nothing in an archive has",
    ),
    "a file that is a device": (
        lambda forge: forge.commit([(b"a", forge.file(mode=0o020644))]),
        "its header has the mode 20644, which nothing in an archive has",
    ),
    "a mode with odd bits": (
        lambda forge: forge.commit([(b"a", forge.file(mode=0o1000100644))]),
        "its header has the mode 1000100644, which nothing in an archive has",
    ),
    "a device's number": (
        lambda forge: forge.commit([(b"a", forge.file(device=5))]),
        "its header has the number of a device",
    ),
    "a file with a link's target": (
        lambda forge: forge.commit([(b"a", forge.file(target=b"/etc"))]),
        "its header has the target b'/etc' and it is not a link",
    ),
    "a target that is not a text": (
        lambda forge: forge.commit([(b"a", forge.file(mode=0o120777, target=b"\xff"))]),
        r"its header has the target b'\xff', which is not UTF-8",
    ),
    "another ref to what is not there": (lambda forge: forge.refer("heads/other", bytes(32)), "it is missing"),
    "a mirror's ref to what is not there": (
        lambda forge: forge.refer("mirrors/org.x.Y/ock", bytes(32)),
        "it is missing",
    ),
}


@pytest.mark.parametrize(("change", "message"), FORGED.values(), ids=FORGED)
def test_what_libostree_would_refuse_is_refused(forge: Forge, change: Callable[[Forge], object], message: str) -> None:
    change(forge)

    assert faults(forge) == [message]
    assert not ostree_finds_it_sound(forge.root)


@pytest.mark.parametrize("text", ["", "0" * 63, "zzz"])
def test_a_ref_that_names_no_commit_is_refused(forge: Forge, text: str) -> None:
    (forge.root / "refs" / "heads" / "other").write_text(text)

    with pytest.raises(ContentError, match="refs/heads/other contains no commit's checksum"):
        faults(forge)
    assert not ostree_finds_it_sound(forge.root)


def test_an_object_that_is_no_file_is_damaged(forge: Forge) -> None:
    """`ostree fsck` waits for ever if a pipe has the name of an object."""
    digest = forge.file()
    path = forge.root / "objects" / digest.hex()[:2] / f"{digest.hex()[2:]}.filez"
    forge.commit([(b"a", digest)])
    path.unlink()
    os.mkfifo(path)

    assert faults(forge) == ["it is not a file"]


def test_an_object_that_is_a_link_to_itself_is_damaged(forge: Forge) -> None:
    digest = forge.file()
    path = forge.root / "objects" / digest.hex()[:2] / f"{digest.hex()[2:]}.filez"
    forge.commit([(b"a", digest)])
    path.unlink()
    path.symlink_to(path.name)

    assert faults(forge) == ["it cannot be read: Too many levels of symbolic links"]
    assert not ostree_finds_it_sound(forge.root)
