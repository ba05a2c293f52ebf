"""Boots remain after a restart as they were; of each machine only the newest are kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.model.boot.boot_record import BootEnd, BootFacts, BootPlan, BootRecord, BootStep, BrokenTransfer
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.store.boots import boot_store
from netboot.store.boots.boot_store import (
    KEPT_LOCAL_OF_HOST,
    KEPT_OF_HOST,
    KEPT_OF_UNREGISTERED,
    KEPT_WITHOUT_SCRIPT_OF_HOST,
    Boots,
)
from netboot.store.database import TIMEOUT_S, Database

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
INSTALL = BootRecord(
    CP1,
    MAC,
    BEGIN,
    BEGIN + timedelta(seconds=60),
    LoaderKind.IPXE_UEFI,
    BootFacts("x64-uefi", "pxe", "PXEClient", "192.0.2.11"),
    BootPlan.INSTALL,
    "",
    (
        BootStep(Step.OFFER, BEGIN, BEGIN, detail="snponly.efi"),
        BootStep(Step.OSTREE, BEGIN, BEGIN + timedelta(seconds=60), 60.0, 1000, 59.0, 2, 40, "ock"),
    ),
    frozenset({Step.IGNITION}),
    is_installed=False,
    broken=BrokenTransfer(Step.STAGE2, "install.img", BEGIN, 7, 100, "closed", 3),
)
BARE = BootRecord(None, Mac("52:54:00:aa:bb:02"), BEGIN, BEGIN)


def after(minutes: int, boot: BootRecord, **changes: Any) -> BootRecord:
    began_at = BEGIN + timedelta(minutes=minutes)
    return replace(boot, began_at=began_at, last_at=began_at, **changes)


def in_store(store_url: str, work: Callable[[Boots], Awaitable[Any]]) -> Any:
    async def scenario() -> Any:
        database = await Database.open(store_url)
        try:
            return await work(Boots(database))
        finally:
            await database.close()

    return asyncio.run(scenario())


async def kept(boots: Boots, *records: BootRecord) -> None:
    for record in records:
        boots.keep(record)
        await boots.flush()


@pytest.mark.parametrize(
    "boot",
    [
        INSTALL,
        replace(INSTALL, end=BootEnd.READY, ended_at=BEGIN, broken=None, is_installed=True, reason="not-ready"),
        replace(INSTALL, overdue=frozenset({Step.STAGE2, Step.READY})),
        replace(BARE, host=CP1),
    ],
)
def test_a_boot_is_read_as_it_was_kept_last(store_url: str, boot: BootRecord):
    in_store(store_url, lambda boots: kept(boots, replace(boot, steps=()), boot))

    assert in_store(store_url, lambda boots: boots.of_host(CP1)) == [boot]


def test_the_newest_boots_of_each_host_are_kept_and_local_ones_remove_no_install(store_url: str):
    installs = [after(number, INSTALL) for number in range(KEPT_OF_HOST + 2)]
    local = [after(100 + number, INSTALL, plan=BootPlan.LOCAL_DISK) for number in range(KEPT_LOCAL_OF_HOST + 2)]
    other = after(50, INSTALL, host=HostName("w1"), mac=Mac("52:54:00:aa:bb:03"))

    async def work(boots: Boots) -> list[list[BootRecord]]:
        for record in (*installs, *local, other):
            boots.keep(record)
        await boots.flush()
        return [await boots.of_host(CP1), await boots.of_host(HostName("w1")), await boots.newest_of_hosts(2)]

    assert in_store(store_url, work) == [[*installs[2:], *local[2:]], [other], [local[-1], local[-2]]]


def test_boots_that_led_to_no_script_remove_no_install(store_url: str):
    install = replace(INSTALL, end=BootEnd.READY, ended_at=BEGIN)
    resumed = after(1, INSTALL, plan=BootPlan.UNDECIDED, end=BootEnd.READY, ended_at=BEGIN)  # its script was not seen
    began = [after(10 + number, INSTALL, plan=BootPlan.UNDECIDED) for number in range(KEPT_OF_HOST + 2)]
    forged = [*(replace(boot, end=BootEnd.REPLACED, ended_at=BEGIN) for boot in began[:-1]), began[-1]]

    async def work(boots: Boots) -> list[BootRecord]:
        await kept(boots, install, resumed, *forged)
        return await boots.of_host(CP1)

    assert in_store(store_url, work) == [install, resumed, *forged[-KEPT_WITHOUT_SCRIPT_OF_HOST:]]


def test_few_boots_of_unregistered_machines_are_kept_and_none_of_a_host_is_removed_for_them(
    store_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(boot_store, "KEPT_UNREGISTERED", 10)
    one = [after(number, BARE) for number in range(KEPT_OF_UNREGISTERED + 2)]
    flood = [after(10 + n, BARE, mac=Mac.from_bytes((0x020000000000 + n).to_bytes(6, "big"))) for n in range(9)]

    async def work(boots: Boots) -> tuple[object, ...]:
        await kept(boots, INSTALL, *one)
        before = await boots.of_unregistered(BARE.mac)
        await kept(boots, *flood)
        left = [await boots.of_unregistered(boot.mac) for boot in flood]
        return before, await boots.of_unregistered(BARE.mac), left, await boots.of_host(CP1)

    assert in_store(store_url, work) == (one[2:], [one[-1]], [[boot] for boot in flood], [INSTALL])


def test_the_boots_that_run_are_those_without_an_end_that_showed_something_since(store_url: str):
    old, ended = after(-300, INSTALL, host=HostName("w1")), after(5, INSTALL, end=BootEnd.READY, ended_at=BEGIN)

    async def work(boots: Boots) -> list[BootRecord]:
        await kept(boots, INSTALL, BARE, old, ended)
        return await boots.running(BEGIN - timedelta(hours=4))

    assert sorted(in_store(store_url, work), key=lambda boot: boot.mac) == [INSTALL, BARE]


def test_the_newest_boots_that_run_are_those_of_hosts_that_showed_nothing_in_another_boot(store_url: str):
    elsewhere = after(5, INSTALL, mac=Mac("52:54:00:aa:bb:03"), end=BootEnd.READY, ended_at=BEGIN)
    other = after(1, INSTALL, host=HostName("w1"), mac=Mac("52:54:00:aa:bb:04"))

    async def work(boots: Boots) -> list[BootRecord]:
        await kept(boots, INSTALL, BARE, other, elsewhere)
        return await boots.newest_running(BEGIN - timedelta(hours=4))

    assert in_store(store_url, work) == [other]


def test_a_boot_that_runs_is_the_newest_also_after_the_clock_was_set_back(store_url: str):
    before = replace(INSTALL, last_at=BEGIN + timedelta(hours=1), end=BootEnd.REPLACED, ended_at=BEGIN)
    boot = after(1, INSTALL)

    async def work(boots: Boots) -> list[BootRecord]:
        await kept(boots, before, boot)
        return await boots.newest_running(BEGIN - timedelta(hours=4))

    assert in_store(store_url, work) == [boot]


def test_a_boot_of_a_machine_that_is_registered_while_it_boots_is_the_hosts(store_url: str):
    async def work(boots: Boots) -> tuple[object, ...]:
        await kept(boots, BARE, replace(BARE, host=CP1))
        return await boots.of_unregistered(BARE.mac), await boots.of_host(CP1)

    assert in_store(store_url, work) == ([], [replace(BARE, host=CP1)])


class FailingStore(Database):
    """A store that accepts nothing while `fails` is set."""

    fails = False

    @asynccontextmanager
    async def transaction(self, *, limit_s: float = TIMEOUT_S) -> AsyncIterator[AsyncConnection]:
        if self.fails:
            raise StoreError("the disk is full")
        async with super().transaction(limit_s=limit_s) as connection:
            yield connection


def test_while_the_store_fails_boots_wait_and_the_oldest_beyond_the_bound_are_counted_as_lost(
    store_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(boot_store, "MOST_WAITING", 2)
    monkeypatch.setattr(boot_store, "RETRY_S", 0)

    async def scenario() -> tuple[int, list[BootRecord], int]:
        database = await FailingStore.open(store_url)
        boots = Boots(database)
        database.fails = True
        for number in range(3):
            boots.keep(after(number, INSTALL))
        await boots.flush()
        waiting = boots.waiting_count
        database.fails = False
        await boots.flush()
        stored = await boots.of_host(CP1)
        database.fails = True
        boots.keep(INSTALL)
        await boots.close()
        left = boots.waiting_count
        await database.close()
        return waiting, stored, left

    with capture_logs() as logged:
        waiting, stored, left = asyncio.run(scenario())

    assert (waiting, stored, left) == (2, [after(1, INSTALL), after(2, INSTALL)], 1)
    delayed = {"event": "store.boots_delayed", "reason": "the disk is full", "log_level": "warning"}
    lost = {"event": "store.boots_lost", "count": 2, "log_level": "error"}
    assert logged == [{**delayed, "waiting": 2}, {**delayed, "waiting": 1}, lost]


def test_what_changes_is_written_soon_and_the_rest_at_the_end(store_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(boot_store, "WRITE_EVERY_S", 0.01)

    async def scenario() -> tuple[list[BootRecord], list[BootRecord]]:
        database = await Database.open(store_url)
        boots = Boots(database)
        task = asyncio.create_task(boots.run())
        boots.keep(INSTALL)
        async with asyncio.timeout(5):
            while boots.waiting_count or not (soon := await boots.of_host(CP1)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        boots.keep(after(1, INSTALL))
        task.cancel()
        await asyncio.wait([task])
        stored = await boots.of_host(CP1)
        await database.close()
        return soon, stored

    assert asyncio.run(scenario()) == ([INSTALL], [INSTALL, after(1, INSTALL)])


def test_an_overdue_step_of_one_boot_is_stored_by_one_appliance_alone(store_url: str):
    running = replace(INSTALL, overdue=frozenset(), end=None)
    by_another = replace(running, began_at=BEGIN + timedelta(seconds=1))

    async def work(boots: Boots) -> tuple[list[bool], list[frozenset[Step]]]:
        claimed = [
            await boots.claim_overdue(running, Step.KERNEL),
            await boots.claim_overdue(by_another, Step.KERNEL),
            await boots.claim_overdue(by_another, Step.STAGE2),
        ]
        return claimed, [boot.overdue for boot in await boots.of_host(CP1)]

    claimed, overdue = in_store(store_url, work)

    assert claimed == [True, False, True]
    assert overdue == [frozenset({Step.KERNEL}), frozenset({Step.STAGE2})]


def test_a_boot_that_another_appliance_has_written_since_is_not_replaced(store_url: str):
    w1 = HostName("w1")
    first = replace(INSTALL, end=None)
    other = replace(first, host=w1, mac=Mac("52:54:00:aa:bb:03"))
    written = replace(other, reason="newer")
    ended = replace(first, reason="ended by a restart")

    async def work(boots: Boots) -> tuple[list[BootRecord], list[BootRecord]]:
        await kept(boots, first, written)
        return await boots.replace_unchanged({CP1: (first, ended), w1: (other, replace(other, reason="lost"))}), [
            *await boots.of_host(CP1),
            *await boots.of_host(w1),
        ]

    replaced, stored = in_store(store_url, work)

    assert replaced == [ended]
    assert stored == [ended, written]
