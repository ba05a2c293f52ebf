"""Stored installs remain after a restart, and of two simultaneous writers one succeeds."""

import asyncio
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from netboot.errors import StoreError, TransitionError
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install, InstallEvent, InstallState, InstallTarget
from netboot.model.install.token import TokenKind, Tokens
from netboot.store import installs as installs_module
from netboot.store.database import Database
from netboot.store.installs import Installs

CP1 = HostName("cp1")
MAC, OTHER_MAC = Mac.parse("52:54:00:aa:bb:01"), Mac.parse("52:54:00:aa:bb:02")
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TOKENS = Tokens(kickstart="a" * 32, ignition="b" * 32, report="c" * 32)


def arm(install: Install, target: InstallTarget | None = None) -> Install:
    return install.armed(at=NOW, reason="new disk", attempts=3, target=target)


def boot_the_installer(install: Install) -> Install:
    return install.booting_the_installer(TOKENS, at=NOW)


def test_a_host_that_nobody_touched_is_registered_and_not_armed(store_url: str):
    async def scenario() -> Install:
        database = await Database.open(store_url)
        try:
            return await Installs(database).get(CP1)
        finally:
            await database.close()

    assert asyncio.run(scenario()) == Install(CP1)


def test_what_was_written_is_there_after_the_database_was_opened_again(store_url: str):
    async def scenario() -> tuple[Install, Install, list[Install]]:
        first = await Database.open(store_url)
        await Installs(first).change(CP1, arm, at=NOW, what="armed", note="new disk")
        written = (await Installs(first).change(CP1, boot_the_installer, at=NOW, what="script-sent")).after
        await first.close()
        second = await Database.open(store_url)
        read = await Installs(second).get(CP1)
        everything = await Installs(second).all()
        await second.close()
        return written, read, everything

    written, read, everything = asyncio.run(scenario())

    assert written.state is InstallState.LOADING
    assert written.arming is not None
    assert written.arming.spent == 1
    assert read == written
    assert everything == [written]


def test_what_an_arming_is_bound_to_is_kept_also_after_its_end(store_url: str):
    addresses = frozenset({IPv4Address("192.0.2.101")})
    target = InstallTarget(frozenset({MAC, OTHER_MAC}), "/dev/vda", "ock", "c" * 64, addresses)

    async def scenario() -> tuple[Install, Install, Install]:
        database = await Database.open(store_url)
        installs = Installs(database)
        await installs.change(CP1, lambda now: arm(now, target), at=NOW, what="armed")
        armed = await installs.get(CP1)
        await installs.change(CP1, Install.cancelled, at=NOW, what="cancelled")
        cancelled = await installs.get(CP1)
        await installs.change(CP1, arm, at=NOW, what="armed")
        again = await installs.get(CP1)
        await database.close()
        return armed, cancelled, again

    armed, cancelled, again = asyncio.run(scenario())

    assert (armed.target, armed.target and armed.target.addresses) == (target, addresses)
    assert cancelled.target == target
    assert again.target is None


def test_of_many_hosts_all_are_moved_or_none(store_url: str):
    w1 = HostName("w1")

    def refuse(install: Install) -> Install:
        raise TransitionError(f"{install.host} is installing")

    async def scenario() -> tuple[list[Install], list[HostName]]:
        database = await Database.open(store_url)
        installs = Installs(database)
        with pytest.raises(TransitionError, match="w1 is installing"):
            await installs.change_all({CP1: arm, w1: refuse}, at=NOW, what="armed")
        before = await installs.all()
        changes = await installs.change_all({w1: arm, CP1: arm}, at=NOW, what="armed")
        await database.close()
        return before, [change.after.host for change in changes if change.after.is_armed]

    assert asyncio.run(scenario()) == ([], [CP1, w1])


def test_a_token_finds_its_install_by_its_kind_alone(store_url: str):
    async def scenario() -> dict[TokenKind, Install | None]:
        database = await Database.open(store_url)
        installs = Installs(database)
        await installs.change(CP1, arm, at=NOW, what="armed")
        await installs.change(CP1, boot_the_installer, at=NOW, what="script-sent")
        found = {kind: await installs.by_token(kind, TOKENS.kickstart) for kind in TokenKind}
        await database.close()
        return found

    found = asyncio.run(scenario())

    assert found[TokenKind.KICKSTART] is not None
    assert found[TokenKind.IGNITION] is None
    assert found[TokenKind.REPORT] is None


def test_of_fifty_writers_at_once_each_adds_its_move_exactly_once(store_url: str):
    def spend(install: Install) -> Install:
        assert install.arming is not None
        return replace(install, arming=replace(install.arming, spent=install.arming.spent + 1))

    async def scenario() -> int:
        one, other = await Database.open(store_url), await Database.open(store_url)
        await Installs(one).change(CP1, arm, at=NOW, what="armed")
        writers = (Installs(one if n % 2 else other).change(CP1, spend, at=NOW, what="spent") for n in range(50))
        await asyncio.gather(*writers)
        install = await Installs(one).get(CP1)
        await one.close()
        await other.close()
        assert install.arming is not None
        return install.arming.spent

    assert asyncio.run(scenario()) == 50


def test_a_move_that_the_table_refuses_writes_nothing(store_url: str):
    async def scenario() -> tuple[list[object], list[Install]]:
        database = await Database.open(store_url)
        installs = Installs(database)
        with pytest.raises(TransitionError, match="cp1 is not armed"):
            await installs.change(
                CP1, lambda install: install.moved_by(InstallEvent.OFFER_SENT, at=NOW), at=NOW, what="offer-sent"
            )
        history: list[object] = list(await installs.history(CP1))
        everything = await installs.all()
        await database.close()
        return history, everything

    assert asyncio.run(scenario()) == ([], [])


def test_the_history_has_each_transition_with_its_reason(store_url: str):
    async def scenario() -> list[tuple[str, str, str, str]]:
        database = await Database.open(store_url)
        installs = Installs(database)
        await installs.change(CP1, arm, at=NOW, what="armed", note="new disk")
        await installs.change(CP1, boot_the_installer, at=NOW, what="script-sent")
        history = await installs.history(CP1)
        await database.close()
        return [(move.what, move.before, move.after, move.note) for move in history]

    assert asyncio.run(scenario()) == [
        ("armed", "registered", "registered", "new disk"),
        ("script-sent", "registered", "loading", ""),
    ]


def test_the_oldest_lines_of_a_long_history_are_deleted_and_those_of_other_hosts_are_kept(
    store_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(installs_module, "KEPT_MOVES", 20)
    monkeypatch.setattr(installs_module, "PRUNE_EVERY", 10)
    w1 = HostName("w1")

    async def scenario() -> tuple[list[str], list[str]]:
        database = await Database.open(store_url)
        installs = Installs(database)
        await installs.change(w1, arm, at=NOW, what="armed")
        for number in range(55):
            await installs.change(CP1, Install.cancelled if number % 2 else arm, at=NOW, what=str(number))
        histories = [[move.what for move in await installs.history(host)] for host in (CP1, w1)]
        await database.close()
        return histories[0], histories[1]

    kept, other = asyncio.run(scenario())

    assert kept == [str(number) for number in range(30, 55)]  # pruned at the 50th write
    assert other == ["armed"]


def test_only_its_owner_can_read_the_store(sqlite_url: str, tmp_path: Path):
    async def scenario() -> None:
        await (await Database.open(sqlite_url)).close()

    asyncio.run(scenario())

    assert stat.S_IMODE((tmp_path / "netboot.db").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_store_that_root_makes_belongs_to_the_owner_of_its_directory(tmp_path: Path):
    directory = tmp_path / "of-somebody"
    directory.mkdir()
    os.chown(directory, 1234, 1234)

    async def scenario() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{directory}/netboot.db")
        await Installs(database).change(CP1, arm, at=NOW, what="armed")
        await database.close()

    asyncio.run(scenario())

    assert {path.stat().st_uid for path in directory.iterdir()} == {1234}


def test_a_store_of_a_newer_netboot_is_refused(store_url: str):
    async def scenario() -> None:
        database = await Database.open(store_url)
        async with database.transaction() as connection:
            await connection.exec_driver_sql("INSERT INTO schema_version (version) VALUES (99)")
        await database.close()
        await Database.open(store_url)

    with pytest.raises(StoreError, match="the store has version 99"):
        asyncio.run(scenario())


def test_a_store_that_cannot_be_opened_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"cannot open the store .*/file/netboot.db"):
        asyncio.run(Database.open(f"sqlite+aiosqlite:///{tmp_path}/file/netboot.db"))


def test_no_query_has_more_parameters_than_an_old_sqlite_permits(store_url: str, request: pytest.FixtureRequest):
    hosts = [HostName(f"w{number}") for number in range(1_200)]
    counts = []

    def count(
        _connection: object, _cursor: object, _text: str, parameters: object, _context: object, many: bool
    ) -> None:
        if isinstance(parameters, tuple | list | dict) and not many:
            counts.append(len(parameters))

    async def scenario() -> set[HostName]:
        database = await Database.open(store_url)
        installs = Installs(database)
        await installs.change_all(dict.fromkeys(hosts, arm), at=NOW, what="armed")
        await installs.change_all(dict.fromkeys(hosts, Install.cancelled), at=NOW, what="cancelled")
        cancelled = {each.host for each in await installs.all() if each.version == 2 and not each.is_armed}
        await database.close()
        return cancelled

    event.listen(Engine, "before_cursor_execute", count)
    request.addfinalizer(lambda: event.remove(Engine, "before_cursor_execute", count))

    assert asyncio.run(scenario()) == set(hosts)
    assert 200 <= max(counts) <= 999


def test_the_histories_of_several_hosts_are_those_of_each(store_url: str):
    names = [CP1, HostName("w1"), HostName("w2")]

    async def scenario() -> None:
        database = await Database.open(store_url)
        installs = Installs(database)
        for name in names[:2]:
            await installs.change(name, arm, at=NOW, what="armed", note=f"of {name}")
            await installs.change(name, Install.cancelled, at=NOW, what="cancelled")
        found = await installs.histories(names)
        assert found == {name: await installs.history(name) for name in names}
        assert [[(move.what, move.note) for move in found[name]] for name in names] == [
            [("armed", "of cp1"), ("cancelled", "")],
            [("armed", "of w1"), ("cancelled", "")],
            [],
        ]
        await database.close()

    asyncio.run(scenario())
