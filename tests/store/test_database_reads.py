"""Reads do not wait for a writer: every read succeeds while another connection holds SQLite's write lock."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from fixtures.stored_databases import load_stored
from sqlalchemy import make_url

from netboot.cli.main import cli
from netboot.errors import StoreError
from netboot.events.activity import ActivityFilter, ActivityLog
from netboot.events.event_feed import EventFeed
from netboot.events.event_log import EventLog
from netboot.model.boot.boot_record import LONGEST_STEP
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.token import TokenKind
from netboot.store import database
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.access.account_store import AccountStore
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database
from netboot.store.failure import NEWEST_VERSION
from netboot.store.inspections import Inspections
from netboot.store.installs import Installs
from netboot.store.leases import LeaseStore
from netboot.store.machines import Machines
from netboot.store.nodes.installed_nodes import Nodes
from netboot.store.read_only_check import verify_store

CP1: Final = HostName("cp1")
MAC: Final = Mac("52:54:00:aa:bb:01")
NOW: Final = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.fixture
def locked(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Hold the write lock of a filled store from another connection; a wait for the lock ends soon."""
    monkeypatch.setattr(database, "BUSY_S", 0.2)
    load_stored(sqlite_url, NEWEST_VERSION)
    writer = sqlite3.connect(Path(str(make_url(sqlite_url).database)), isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("BEGIN IMMEDIATE")
    yield sqlite_url
    writer.close()


def in_store(url: str, use: Callable[[Database], Awaitable[object]]) -> object:
    async def scenario() -> object:
        store = await Database.open(url)
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(scenario())


async def answered(read: Awaitable[object]) -> object:
    """Await a read of which the stored database has no row."""
    return (await read,)


READS: Final[dict[str, Callable[[Database], Awaitable[object]]]] = {
    "Installs.all": lambda store: Installs(store).all(),
    "Installs.readable": lambda store: Installs(store).readable([CP1]),
    "Installs.get": lambda store: Installs(store).get(CP1),
    "Installs.by_token": lambda store: Installs(store).by_token(TokenKind.KICKSTART, "1" * 32),
    "Installs.history": lambda store: Installs(store).history(CP1),
    "Installs.histories": lambda store: Installs(store).histories([CP1]),
    "EventLog.after": lambda store: EventLog(store).after(0),
    "EventLog.newest": lambda store: EventLog(store).newest(CP1, limit=5),
    "EventLog.newest_of": lambda store: EventLog(store).newest_of([CP1], limit=5),
    "EventLog.newest_of_each_host": lambda store: EventLog(store).newest_of_each_host(),
    "EventLog.last_id": lambda store: EventLog(store).last_id(),
    "EventFeed.follow": lambda store: anext(EventLog(store).feed.follow(0)),
    "Machines.all": lambda store: Machines(store).all(),
    "Machines.of": lambda store: Machines(store).of([MAC]),
    "Inspections.all": lambda store: Inspections(store).all(),
    "Inspections.of": lambda store: Inspections(store).of([MAC]),
    "Inspections.by_token": lambda store: Inspections(store).by_token("5" * 32),
    "Nodes.all": lambda store: Nodes(store).all(),
    "Nodes.by_token": lambda store: Nodes(store).by_token("8" * 32),
    "LeaseStore.all": lambda store: LeaseStore(store).all(),
    "LeaseStore.read": lambda store: LeaseStore(store).read(None),
    "Machines.changed": lambda store: Machines(store).changed(None),
    "Boots.of_host": lambda store: Boots(store).of_host(CP1),
    "Boots.of_unregistered": lambda store: answered(Boots(store).of_unregistered(MAC)),
    "Boots.running": lambda store: Boots(store).running(NOW - LONGEST_STEP),
    "Boots.newest_running": lambda store: Boots(store).newest_running(NOW - LONGEST_STEP),
    "Boots.newest_of_hosts": lambda store: Boots(store).newest_of_hosts(5),
    "AcceptedFiles.all": lambda store: AcceptedFiles(store).all(),
    "AccountStore.all": lambda store: AccountStore(store).all(),
    "ActivityLog.page": lambda store: ActivityLog(store).page(ActivityFilter(), limit=5),
    "ActivityLog.all": lambda store: anext(ActivityLog(store).all(ActivityFilter(), most=5), None),
    "ActivityLog.oldest_at": lambda store: answered(ActivityLog(store).oldest_at()),
    "ActivityLog.names": lambda store: ActivityLog(store).names(),
}
ACCOUNT_CHANGES: Final = (
    *("keep_user", "remove_user", "keep_token", "remove_token", "begin_session", "end_session"),
    *("note_use_of_session", "note_use_of_token"),
)
WRITES: Final = {
    "Inspections.change",
    "Inspections.forget",
    "Installs.change",
    "Installs.change_all",
    "Installs.forget_node",
    "Nodes.keep_only",
    "Nodes.record_report",
    "EventLog.flush",
    "EventLog.close",
    "EventLog.run",
}
WRITES_BEHIND: Final = {
    "Boots.claim_overdue",
    *(f"{behind}.{method}" for behind in ("Boots", "Machines") for method in ("flush", "run", "close")),
    "LeaseStore.keep",
    "AcceptedFiles.keep",
    *(f"AccountStore.{change}" for change in ACCOUNT_CHANGES),
}
NO_STORE: Final = {
    "Installs.finish",
    "EventLog.begin",  # these two read a shared store, which is not SQLite
    "EventLog.read_changed",
    "EventLog.follow_others",
    "EventLog.take",
    "EventLog.take_lost_count",
    "EventLog.waiting_count",
    "EventLog.waiting_of",
    "EventFeed.begin_after",
    "EventFeed.publish",
    "EventFeed.end",
    "Machines.keep",
    "Machines.forget",
    "Machines.waiting_count",
    "Boots.keep",
    "Boots.replace_unchanged",
    "Boots.waiting_count",
    "AccountStore.finish",
    "AccountStore.begin",
}


def test_every_method_of_the_classes_on_the_store_is_known_as_a_read_or_a_write():
    classes = (
        Installs,
        Inspections,
        EventLog,
        EventFeed,
        Machines,
        Boots,
        LeaseStore,
        Nodes,
        AcceptedFiles,
        AccountStore,
        ActivityLog,
    )
    methods = {f"{each.__name__}.{name}" for each in classes for name in vars(each) if not name.startswith("_")}

    assert methods == {*READS} | WRITES | WRITES_BEHIND | NO_STORE


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_a_read_answers_while_another_connection_holds_the_write_lock(
    locked: str, read: Callable[[Database], Awaitable[object]]
):
    assert in_store(locked, read)


def test_a_write_fails_while_another_connection_holds_the_write_lock(locked: str):
    with pytest.raises(StoreError, match="locked"):
        in_store(locked, lambda store: AcceptedFiles(store).keep([]))


def test_the_check_of_a_store_answers_while_another_connection_holds_the_write_lock(locked: str):
    asyncio.run(Database.verify(locked))
    asyncio.run(verify_store(locked))


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["host", "list"], "cp1"),
        (["host", "list", "--discovered"], "52:54:00:aa:bb:01"),
        (["host", "show", "cp1"], "loading"),
        (["install", "show"], "loading"),
        (["install", "list"], "loading"),
        (["install", "show", "cp1"], "loading"),
        (["install", "history", "cp1"], "first install"),
        (["install", "watch", "cp1", "--no-follow"], "offer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_only_reads_answers_while_another_connection_holds_the_write_lock(
    locked: str, tmp_path: Path, command: list[str], shown: str
):
    config = tmp_path / "netboot.yaml"
    config.write_text(
        f"network: {{interfaces: [lo]}}\nadmin: {{socket: {tmp_path}/control.sock}}\nstore: {{url: {locked}}}\n"
    )
    (tmp_path / "hosts.yaml").write_text("hosts: {cp1: {role: worker, mac: '52:54:00:aa:bb:09'}}\n")

    result = CliRunner().invoke(cli, [*command, "--config", str(config)])

    assert result.exit_code == 0, result.output
    assert shown in result.output
