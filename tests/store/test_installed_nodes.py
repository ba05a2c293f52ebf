"""The table of nodes: a row is written with the install, a report replaces the one before, and a token ends."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.install import RETIRED, Install, InstallEvent, InstallState, InstallTarget
from netboot.model.install.token import Tokens
from netboot.model.node_report import InstalledCommit, InstalledNode, NodeReport
from netboot.store import tables
from netboot.store.database import Database
from netboot.store.installs import Installs
from netboot.store.nodes.installed_nodes import Nodes

CP1: Final = HostName("cp1")
AT: Final = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
TARGET: Final = InstallTarget(frozenset({Mac("52:54:00:aa:bb:01")}), "/dev/vda", "1.33", "5" * 64)
OLD, NEW = Tokens("1" * 32, "2" * 32, "3" * 32, "4" * 32), Tokens("5" * 32, "6" * 32, "7" * 32, "8" * 32)
NODE: Final = InstalledNode(CP1, InstalledCommit("1.33", "5" * 64, AT))
REPORT: Final = NodeReport("5" * 64, tag="1.33")


def with_store(store_url: str, work: Callable[[Installs, Nodes], Awaitable[None]]) -> None:
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            await work(Installs(database), Nodes(database))
        finally:
            await database.close()

    asyncio.run(scenario())


async def install(installs: Installs, tokens: Tokens = OLD, *, target: InstallTarget | None = TARGET) -> None:
    """Boot the installer with these tokens, and report the end of the install."""

    def booted(before: Install) -> Install:
        armed = replace(before, arming=None).armed(at=AT, reason="test", attempts=1, target=target)
        return armed.booting_the_installer(tokens, at=AT)

    await installs.change(CP1, booted, at=AT, what="script-sent")
    await move(installs, InstallEvent.REPORTED_DONE)


async def move(installs: Installs, event: InstallEvent, at: datetime = AT) -> None:
    await installs.change(CP1, lambda before: before.moved_by(event, at=at), at=at, what=event.value)


def test_an_install_that_is_done_makes_a_row_with_its_release_and_commit(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)
        await move(installs, InstallEvent.REPORTED_READY, AT + timedelta(minutes=5))

        assert await nodes.all() == {CP1: NODE}
        assert await nodes.by_token(OLD.node) == NODE
        assert await nodes.by_token(OLD.report) is None

    with_store(store_url, work)


def test_a_release_elsewhere_has_no_commit_of_this_appliance(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs, target=replace(TARGET, release="ock of http://192.0.2.1/ostree"))

        assert await nodes.all() == {CP1: replace(NODE, installed=InstalledCommit("", "", AT))}

    with_store(store_url, work)


def test_the_token_is_stored_as_its_hash(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)
        async with nodes._database.reading() as connection:
            row = (await connection.execute(tables.nodes.select())).mappings().one()

        assert row["token_sha256"] == hashlib.sha256(OLD.node.encode()).hexdigest()
        assert OLD.node not in str(dict(row))

    with_store(store_url, work)


def test_a_report_replaces_the_one_before(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)
        newer = replace(REPORT, staged="6" * 64)

        assert await nodes.record_report(OLD.node, REPORT, at=AT)
        assert await nodes.record_report(OLD.node, newer, at=AT + timedelta(minutes=10))
        assert await nodes.all() == {CP1: replace(NODE, report=newer, reported_at=AT + timedelta(minutes=10))}

    with_store(store_url, work)


def test_the_old_token_is_valid_until_the_next_install_is_done(store_url: str):
    """A machine that was armed and whose checks failed still runs its old system, which reports."""

    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)
        await nodes.record_report(OLD.node, REPORT, at=AT)
        again = replace(TARGET, commit="9" * 64)

        def booted(before: Install) -> Install:
            return before.armed(at=AT, reason="again", attempts=1, target=again).booting_the_installer(NEW, at=AT)

        await installs.change(CP1, booted, at=AT, what="script-sent")
        assert await nodes.record_report(OLD.node, REPORT, at=AT)
        assert await nodes.by_token(NEW.node) is None

        await move(installs, InstallEvent.REPORTED_DONE)
        assert await nodes.by_token(OLD.node) is None
        assert not await nodes.record_report(OLD.node, REPORT, at=AT)
        assert await nodes.by_token(NEW.node) == InstalledNode(CP1, InstalledCommit("1.33", "9" * 64, AT))

    with_store(store_url, work)


def test_a_retired_host_has_no_node(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)

        await installs.change(CP1, Install.retired, at=AT, what=RETIRED)

        assert await nodes.all() == {}
        assert not await nodes.record_report(OLD.node, REPORT, at=AT)

    with_store(store_url, work)


def test_a_host_is_retired_although_its_install_does_not_change(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)
        await installs.change(CP1, lambda before: replace(before, tokens=Tokens()), at=AT, what="armed")

        await installs.change(CP1, Install.retired, at=AT, what=RETIRED)

        assert await nodes.all() == {}

    with_store(store_url, work)


def test_what_is_known_of_a_node_is_forgotten_with_its_host(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)
        await nodes.keep_only([CP1])
        assert await nodes.all() == {CP1: NODE}

        await nodes.keep_only([HostName("cp2")])
        assert await nodes.all() == {}

        await install(installs, NEW)
        await installs.forget_node(CP1)
        assert await nodes.all() == {}

    with_store(store_url, work)


def test_a_stored_report_that_this_version_cannot_read_is_as_none(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs)
        async with nodes._database.transaction() as connection:
            await connection.execute(tables.nodes.update().values(report={"booted": "x", "later": "y"}))

        assert (await nodes.all())[CP1].report is None

    with_store(store_url, work)


def test_an_install_of_an_older_version_has_a_row_and_no_token(store_url: str):
    async def work(installs: Installs, nodes: Nodes) -> None:
        await install(installs, Tokens("1" * 32, "2" * 32, "3" * 32))

        assert (await nodes.all())[CP1] == NODE
        assert (await installs.get(CP1)).state is InstallState.INSTALLED
        assert await nodes.by_token("") is None

    with_store(store_url, work)
