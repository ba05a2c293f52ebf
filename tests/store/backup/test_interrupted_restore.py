"""A restore of a SQLite store that a crash interrupts while it keeps the previous one is done again."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from fixtures.stored_databases import load_stored
from store.backup.test_backup import NEWEST_VERSION_STORED, back_up, restore, rows_at

from netboot.store.backup import restoring

NEW_MACHINE: Final = (
    "INSERT INTO machines (mac, first_seen, last_seen, addresses) "
    "VALUES ('52:54:00:00:00:99', '2026-11-30T07:00:00+00:00', '2026-11-30T07:00:00+00:00', '[]')"
)
POINTS: Final = [("link", 1), ("link", 2), ("sync", 1)]  # what was done last before the crash, and how often


class CrashError(BaseException):
    """The process ends."""


def crash_after(name: str, count: int, patch: pytest.MonkeyPatch) -> None:
    calls = 0

    def crashing(work: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            nonlocal calls
            work(*arguments)
            calls += 1
            if calls == count:
                raise CrashError

        return call

    owner, attribute = (restoring.os, "link") if name == "link" else (restoring, "sync_directory")
    patch.setattr(owner, attribute, crashing(getattr(owner, attribute)))


def interrupted(url: str, place: Path, point: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        crash_after(*point, patch)
        with pytest.raises(CrashError):
            restore(url, place)


@pytest.fixture
def place(sqlite_url: str, tmp_path: Path) -> Path:
    """A backup of a store, in which a machine is new since; that is only in its write-ahead log, as after a crash."""
    load_stored(sqlite_url, NEWEST_VERSION_STORED)
    rows_at(sqlite_url, tmp_path / "store.key")  # migrates it
    place, store = tmp_path / "netboot.backup", tmp_path / "netboot.db"
    back_up(sqlite_url, place)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(NEW_MACHINE)
        connection.commit()
        for suffix in ("", "-wal"):
            shutil.copy(f"{store}{suffix}", f"{store}{suffix}.copy")
    for suffix in ("", "-wal"):
        Path(f"{store}{suffix}.copy").replace(f"{store}{suffix}")
    return place


@pytest.mark.parametrize("point", POINTS)
def test_a_store_that_was_used_after_the_crash_is_replaced_and_kept_as_it_was(
    point: tuple[str, int], sqlite_url: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupted(sqlite_url, place, point, monkeypatch)
    after_the_crash = rows_at(sqlite_url, tmp_path / "store.key")
    with closing(sqlite3.connect(tmp_path / "netboot.db")) as connection, connection:
        connection.execute("DELETE FROM machines")  # what the log still has, as one that was left behind

    restored = restore(sqlite_url, place)

    assert "52:54:00:00:00:99" in [each["mac"] for each in after_the_crash["machines"]]
    assert restored.kept == f"{tmp_path}/netboot.db.before-restore"
    kept = rows_at(f"sqlite+aiosqlite:///{restored.kept}", tmp_path / "store.key")
    assert kept == {**after_the_crash, "machines": []}
    assert len(rows_at(sqlite_url, tmp_path / "store.key")["machines"]) == len(after_the_crash["machines"]) - 1
    assert sorted(each.name for each in tmp_path.iterdir() if not each.name.endswith(".lock")) == [
        "netboot.backup",
        "netboot.db",
        "netboot.db.before-restore",
        "store.key",
    ]


@pytest.mark.parametrize("point", POINTS)
def test_a_damaged_store_is_kept_with_its_log(
    point: tuple[str, int], sqlite_url: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    log = (tmp_path / "netboot.db-wal").read_bytes()
    (tmp_path / "netboot.db").write_bytes(b"\x17" * 8192)
    interrupted(sqlite_url, place, point, monkeypatch)

    restored = restore(sqlite_url, place)

    assert restored.kept is not None
    assert Path(restored.kept).read_bytes() == b"\x17" * 8192
    assert Path(f"{restored.kept}-wal").read_bytes() == log
    assert rows_at(sqlite_url, tmp_path / "store.key")["machines"]
