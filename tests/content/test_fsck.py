"""Our check beside `ostree fsck`, on sound archives and on every kind of damage."""

import gzip
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from netboot.content.library.progress import NO_PROGRESS
from netboot.content.ostree.fsck import Checker, check_archive, evaluate
from netboot.content.ostree.object_table import DIRECTORIES
from netboot.content.ostree.repository import read_ref
from netboot.errors import ContentError


def ostree_finds_it_sound(repo: Path) -> bool:
    return subprocess.run(["ostree", "fsck", f"--repo={repo}"], capture_output=True, timeout=60).returncode == 0


def objects(repo: Path, kind: str) -> list[Path]:
    return sorted((repo / "objects").rglob(f"*.{kind}"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def append(path: Path, data: bytes) -> None:
    path.write_bytes(path.read_bytes() + data)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:-size])


def largest(repo: Path) -> Path:
    return max(objects(repo, "filez"), key=lambda path: path.stat().st_size)


def exchange(repo: Path) -> None:
    """Put one object's bytes under another's name: each sound, both wrong."""
    one, other = objects(repo, "filez")[:2]
    ours, theirs = one.read_bytes(), other.read_bytes()
    one.write_bytes(theirs)
    other.write_bytes(ours)


def test_a_sound_archive_is_sound(archive: Path) -> None:
    check = check_archive(archive, "ock")

    assert (check.ref, check.commit) == read_ref(archive, "ock")
    assert check.faults == {}
    assert check.unreferred == ()
    assert check.object_count == sum(1 for path in (archive / "objects").rglob("*.*"))
    assert check.size_bytes == sum(path.stat().st_size for path in (archive / "objects").rglob("*.*"))
    assert ostree_finds_it_sound(archive)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a bit of a file's content": (lambda repo: flip(largest(repo), 700_000), "checksum|inflated"),
    "a bit of a file's header": (lambda repo: flip(largest(repo), 20), "checksum|header"),
    "a file's header length": (lambda repo: flip(largest(repo), 0), "does not begin with a filez header"),
    "a file that is cut off": (lambda repo: cut(largest(repo), 1000), "it is cut off in its content"),
    "a file of no bytes": (lambda repo: largest(repo).write_bytes(b""), "does not begin with a filez header"),
    "a file that is missing": (lambda repo: largest(repo).unlink(), "it is missing"),
    "files under each other's names": (exchange, "its bytes have the checksum"),
    "a dirtree": (lambda repo: flip(objects(repo, "dirtree")[0], 5), "its bytes have the checksum"),
    "a dirtree that is longer": (
        lambda repo: append(objects(repo, "dirtree")[0], b"\0"),
        "its bytes have the checksum",
    ),
    "a dirtree that is missing": (lambda repo: objects(repo, "dirtree")[0].unlink(), "it is missing"),
    "a dirmeta": (lambda repo: flip(objects(repo, "dirmeta")[0], 3), "its bytes have the checksum"),
    "a dirmeta that is missing": (lambda repo: objects(repo, "dirmeta")[0].unlink(), "it is missing"),
    "the commit": (lambda repo: flip(objects(repo, "commit")[0], 40), "its bytes have the checksum"),
    "the commit that is missing": (lambda repo: objects(repo, "commit")[0].unlink(), "it is missing"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_as_ostree_finds_it(
    tmp_path: Path, small_archive: Path, damage: Callable[[Path], None], message: str
) -> None:
    repo = tmp_path / "repo"
    shutil.copytree(small_archive, repo)

    damage(repo)

    check = check_archive(repo, "ock")
    assert check.faults
    assert any(part in what for what in check.faults.values() for part in message.split("|"))
    assert not ostree_finds_it_sound(repo)


def lie_about_size(repo: Path) -> None:
    flip(largest(repo), 15)  # the last byte of the size in a filez header, which no checksum covers


HARMLESS: dict[str, Callable[[Path], None]] = {
    "bytes behind a file's content": lambda repo: append(largest(repo), b"tail"),
    "a wrong size in a file's header": lie_about_size,
    "a damaged object that nothing refers to": lambda repo: _stray(repo),
}


def _stray(repo: Path) -> None:
    path = repo / "objects" / "00" / f"{'0' * 62}.filez"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"junk")


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_ostree_lets_pass_passes(tmp_path: Path, small_archive: Path, change: Callable[[Path], None]) -> None:
    repo = tmp_path / "repo"
    shutil.copytree(small_archive, repo)

    change(repo)

    assert check_archive(repo, "ock").faults == {}
    assert ostree_finds_it_sound(repo)


def test_a_commit_without_a_ref_counts_as_it_does_for_ostree(tmp_path: Path, small_archive: Path) -> None:
    repo = tmp_path / "repo"
    shutil.copytree(small_archive, repo)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("only in the other commit")
    before = set(objects(repo, "filez"))
    subprocess.run(
        ["ostree", "commit", f"--repo={repo}", "--branch=b", f"--tree=dir={tmp_path / 'other'}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (repo / "refs" / "heads" / "b").unlink()
    assert check_archive(repo, "ock").faults == {}

    (only_there,) = set(objects(repo, "filez")) - before
    only_there.unlink()

    assert list(check_archive(repo, "ock").faults.values()) == ["it is missing"]
    assert not ostree_finds_it_sound(repo)


def test_the_same_file_packed_otherwise_is_the_same_object(tmp_path: Path, small_archive: Path) -> None:
    repo = tmp_path / "repo"
    shutil.copytree(small_archive, repo)
    path = largest(repo)
    data = path.read_bytes()
    header = data[: 8 + int.from_bytes(data[:4], "big")]
    content = zlib.decompress(data[len(header) :], wbits=-15)

    path.write_bytes(header + gzip.compress(content, 1)[10:-8])  # a gzip member is a raw deflate between head and tail

    assert path.read_bytes() != data
    assert check_archive(repo, "ock").faults == {}
    assert ostree_finds_it_sound(repo)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="is not a directory"):
        check_archive(tmp_path / "nothing", "ock")


def test_a_directory_that_changes_while_it_is_checked_is_judged_by_its_last_state(
    tmp_path: Path, small_archive: Path
) -> None:
    repo = tmp_path / "repo"
    shutil.copytree(small_archive, repo)
    path = largest(repo)
    whole = path.read_bytes()

    with Checker(repo) as checker:
        path.write_bytes(b"")
        for directory in DIRECTORIES:
            checker.give(directory)
        path.write_bytes(whole)
        checker.give(path.parent.name)
        found = checker.gather(NO_PROGRESS)

    assert evaluate(repo, "ock", found).faults == {}
