"""Deltas and summaries made by the real `ostree`, pulled by it, and what happens where they cannot be made."""

import asyncio
import fcntl
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netboot.content.imports.archive_import import import_archive
from netboot.content.imports.verify import verify
from netboot.content.library.library import Library
from netboot.content.ostree.deltas import delta_member, keep_deltas, lacking_deltas, make_delta
from netboot.content.ostree.repository import read_ref
from netboot.content.serving.index import ContentIndex
from netboot.errors import ContentError


@pytest.fixture
def library(tmp_path: Path, small_archive: Path) -> Library:
    library = Library(tmp_path / "content")
    import_archive(library, small_archive, "ock-1", now=datetime(2026, 11, 21, tzinfo=UTC))
    return library


def files_of(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_delta_and_a_summary_come_beside_a_release_that_does_not_change(library: Library, tmp_path: Path) -> None:
    (entry,) = lacking_deltas(library)
    before = files_of(entry.path)

    asyncio.run(make_delta(library, entry))

    after = files_of(entry.path)
    _, commit = read_ref(entry.path, "ock-1")
    assert {name: after[name] for name in before} == before
    assert {name.partition("/")[0] for name in set(after) - set(before)} == {
        *("deltas", "delta-indexes", "summary"),
        ".netboot.deltas",
    }
    assert delta_member(commit) in after
    assert lacking_deltas(library) == []
    assert verify(entry).is_sound
    assert list((library.directory / ".deltas").iterdir()) == []


def test_ostree_pulls_by_the_delta_alone(library: Library, tmp_path: Path) -> None:
    (entry,) = lacking_deltas(library)
    asyncio.run(make_delta(library, entry))
    pulled = tmp_path / "pulled"

    for command in (
        ["init", f"--repo={pulled}", "--mode=bare-user"],
        ["remote", "add", f"--repo={pulled}", "--no-gpg-verify", "x", f"file://{entry.path}"],
        ["pull", f"--repo={pulled}", "--require-static-deltas", "x", "ock"],
        ["fsck", f"--repo={pulled}"],
    ):
        subprocess.run(["ostree", *command], check=True, capture_output=True, timeout=60)

    _, commit = read_ref(entry.path, "ock-1")
    assert (pulled / "refs" / "remotes" / "x" / "ock").read_text() == f"{commit}\n"


def test_the_server_serves_them(library: Library) -> None:
    (entry,) = lacking_deltas(library)
    asyncio.run(make_delta(library, entry))
    content = ContentIndex(library.directory)
    content.refresh()

    _, commit = read_ref(entry.path, "ock-1")
    assert asyncio.run(content.find_new("/ostree/ock-1/summary")) is not None
    assert content.find(f"/ostree/ock-1/{delta_member(commit)}") is not None


class Rounds(asyncio.Event):
    """Releases `over` each time that its waiter begins to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Semaphore(0)

    async def wait(self) -> bool:
        self.over.release()
        return await super().wait()


def test_they_are_kept_for_every_release_that_comes(library: Library, archive: Path) -> None:
    async def run() -> None:
        changed = Rounds()
        keeping = asyncio.create_task(keep_deltas(library, changed))
        async with asyncio.timeout(60):
            await changed.over.acquire()
            assert lacking_deltas(library) == []
            await asyncio.to_thread(import_archive, library, archive, "ock-2", now=datetime(2026, 11, 21, tzinfo=UTC))
            changed.set()
            await changed.over.acquire()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(run())

    assert lacking_deltas(library) == []


def test_a_release_that_is_damaged_gets_none_and_stays_as_it_is(library: Library) -> None:
    (entry,) = lacking_deltas(library)
    next(entry.path.rglob("*.dirtree")).unlink()
    before = files_of(entry.path)

    with pytest.raises(ContentError, match=r"ostree static-delta failed: .*; netboot content verify"):
        asyncio.run(make_delta(library, entry))

    assert files_of(entry.path) == before


def test_without_ostree_the_error_names_the_package(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = lacking_deltas(library)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nice").symlink_to("/usr/bin/nice")
    monkeypatch.setitem(os.environ, "PATH", str(programs))

    with pytest.raises(ContentError, match=r"install the package ostree, or set content\.deltas: false"):
        asyncio.run(make_delta(library, entry))


def test_two_processes_do_not_generate_at_once(library: Library) -> None:
    (entry,) = lacking_deltas(library)
    (library.directory / ".deltas").mkdir()
    held = os.open(library.directory / ".deltas", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(ContentError) as caught:
            asyncio.run(make_delta(library, entry))
    finally:
        os.close(held)

    assert str(caught.value) == "another process generates a delta; wait until it has ended"
    assert lacking_deltas(library) == [entry]


def test_a_delta_that_may_not_fit_is_not_begun(tmp_path: Path, small_archive: Path) -> None:
    directory = tmp_path / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", directory], check=True)
    try:
        library = Library(directory)
        import_archive(library, small_archive, "ock-1", now=datetime(2026, 11, 21, tzinfo=UTC))
        (directory / "other").write_bytes(bytes(30 << 20))
        (entry,) = lacking_deltas(library)
        with pytest.raises(ContentError) as caught:
            asyncio.run(make_delta(library, entry))
    finally:
        subprocess.run(["umount", directory], check=True)

    assert re.fullmatch(
        rf"cannot generate the delta of ock-1: it may need 6\d\.\d MB in {directory}; "
        r"enlarge the file system, or set content\.deltas: false",
        str(caught.value),
    )


def test_releases_that_need_no_delta_are_left_out(library: Library) -> None:
    (entry,) = lacking_deltas(library)

    (entry.path / "summary.sig").touch()
    signed = lacking_deltas(library)
    (entry.path / "summary.sig").unlink()
    (entry.path / "refs" / "heads" / "ock").write_text("no commit")
    unreadable = lacking_deltas(library)

    assert (signed, unreadable) == ([], [])


def test_the_name_of_a_delta_is_libostrees() -> None:
    commit = "5983e48a0b52c93c0b91417513b1df86adfa2c2245702c79e4bf1c1fedd0d97f"

    assert delta_member(commit) == "deltas/WY/PkigtSyTwLkUF1E7Hfhq36LCJFcCx55L8cH+3Q2X8/superblock"
