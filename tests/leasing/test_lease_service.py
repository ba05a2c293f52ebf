"""Where leases meet the disk: nothing is said that is not on record, and troubles are told once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

from fixtures.house import MAC, OTHER_MAC, STRANGER_MAC, FakeClock

from netboot.events.event_log import EventLog
from netboot.leasing.lease_service import LeaseDesk
from netboot.model.clock import Clock
from netboot.model.host.cluster import Cluster
from netboot.model.host.host import Host, HostName, HostNetwork, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.model.lease import (
    AddressRange,
    LeaseAsk,
    LeaseClosed,
    LeaseGranted,
    LeaseOffered,
    LeasePolicy,
    LeaseQuestion,
    LeaseSilence,
    LeaseState,
    LeaseToProbe,
    LeaseVerdict,
)
from netboot.store.database import Database
from netboot.store.leases import LeaseLedger

T = TypeVar("T")

LAN, OURS = IPv4Network("192.0.2.0/24"), IPv4Address("192.0.2.10")
RESERVED, POOLED = IPv4Address("192.0.2.101"), IPv4Address("192.0.2.200")
CP1 = Host(HostName("cp1"), Role.WORKER, (MAC,), network=HostNetwork(IPv4Interface("192.0.2.101/24")))
HOLDER = Mac("52:54:00:00:00:77")


@dataclass
class Leasing:
    """A desk with a real ledger; only the clock is ours."""

    desk: LeaseDesk
    database: Database
    event_log: EventLog
    clock: FakeClock

    def ask(self, ask: LeaseAsk, mac: Mac, address: IPv4Address | None = None) -> LeaseVerdict:
        question = LeaseQuestion(ask, f"hw:01:{mac}", mac, address)
        verdict = self.desk.ask(question, [LAN], [OURS])
        if isinstance(verdict, LeaseToProbe) and self.desk.probed(question, verdict.address, None):
            verdict = self.desk.ask(question, [LAN], [OURS])
        return verdict

    def granted(self, mac: Mac) -> LeaseGranted:
        offered = self.ask(LeaseAsk.DISCOVER, mac)
        assert isinstance(offered, LeaseOffered)
        granted = self.ask(LeaseAsk.SELECTING, mac, offered.terms.address)
        assert isinstance(granted, LeaseGranted)
        return granted

    async def told(self) -> list[tuple[str, str | None]]:
        await self.event_log.flush()
        return [(event.name, event.host) for event in await self.event_log.after(0)]


def leasing(directory: Path, use: Callable[[Leasing], Awaitable[T]]) -> T:
    """Use a desk that leases cp1's address and a pool of one."""

    async def scenario() -> T:
        clock = FakeClock()
        database = await Database.open(f"sqlite+aiosqlite:///{directory}/netboot.db")
        try:
            events = EventLog(database, now=clock.now)
            desk = LeaseDesk(
                LeasePolicy((AddressRange(POOLED, POOLED),)),
                LeaseLedger(database),
                events=events,
                clock=Clock(clock.now, clock.monotonic, clock.random_bytes),
            )
            await desk.load()
            desk.use(HostSet.of(Cluster("test"), [CP1]))
            return await use(Leasing(desk, database, events, clock))
        finally:
            await database.close()

    return asyncio.run(scenario())


def test_a_new_lease_is_told_and_a_renewal_is_not(tmp_path: Path):
    async def use(house: Leasing) -> list[tuple[str, str | None]]:
        assert await house.desk.keep(house.granted(MAC)) is None
        renewed = house.ask(LeaseAsk.RENEWING, MAC, RESERVED)
        assert isinstance(renewed, LeaseGranted)
        assert await house.desk.keep(renewed) is None
        return await house.told()

    assert leasing(tmp_path, use) == [("lease.granted", "cp1")]


def test_a_lease_that_is_kept_is_there_after_a_restart(tmp_path: Path):
    async def first(house: Leasing) -> None:
        await house.desk.keep(house.granted(STRANGER_MAC))

    async def second(house: Leasing) -> list[object]:
        return [house.ask(LeaseAsk.DISCOVER, OTHER_MAC), house.ask(LeaseAsk.INIT_REBOOT, STRANGER_MAC, POOLED)]

    leasing(tmp_path, first)
    silence, granted = leasing(tmp_path, second)

    assert silence is LeaseSilence.POOL_EXHAUSTED
    assert isinstance(granted, LeaseGranted)


def test_without_a_ledger_nothing_is_given_and_the_address_stays_free(tmp_path: Path):
    async def use(house: Leasing) -> tuple[LeaseSilence | None, LeaseVerdict]:
        granted = house.granted(STRANGER_MAC)
        async with house.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE leases")
        silence = await house.desk.keep(granted)
        house.clock.pass_(61)
        return silence, house.ask(LeaseAsk.DISCOVER, OTHER_MAC)

    silence, other = leasing(tmp_path, use)

    assert silence is LeaseSilence.LEDGER_UNREACHABLE
    assert isinstance(other, LeaseOffered)


def test_a_grant_that_was_declined_while_it_was_written_is_not_acknowledged(tmp_path: Path):
    async def use(house: Leasing) -> LeaseSilence | None:
        granted = house.granted(STRANGER_MAC)
        house.ask(LeaseAsk.DECLINE, STRANGER_MAC, POOLED)
        return await house.desk.keep(granted)

    assert leasing(tmp_path, use) is LeaseSilence.NOT_ITS_ADDRESS


def test_release_and_decline_are_on_record_and_told(tmp_path: Path):
    async def use(house: Leasing) -> tuple[list[LeaseState], list[tuple[str, str | None]]]:
        states = []
        for ask in (LeaseAsk.RELEASE, LeaseAsk.DECLINE):
            await house.desk.keep(house.granted(MAC))
            closed = house.ask(ask, MAC, RESERVED)
            assert isinstance(closed, LeaseClosed)
            assert await house.desk.keep(closed) is None
            states += [lease.state for lease in await LeaseLedger(house.database).all()]
        return states, await house.told()

    states, told = leasing(tmp_path, use)

    assert states == [LeaseState.RELEASED, LeaseState.DECLINED]
    names = ["lease.granted", "lease.released", "lease.granted", "lease.declined"]
    assert told == [(name, "cp1") for name in names]


def test_a_trouble_is_told_once_in_ten_minutes_for_each_address(tmp_path: Path):
    async def use(house: Leasing) -> list[Event]:
        question = LeaseQuestion(LeaseAsk.DISCOVER, "x", MAC)
        for pause_s in (0, 4, 600):
            house.clock.pass_(pause_s)
            assert house.desk.ask(question, [LAN], [OURS]) == LeaseToProbe(RESERVED, False)
            assert not house.desk.probed(question, RESERVED, HOLDER)
        await house.event_log.flush()
        return await house.event_log.after(0)

    events = leasing(tmp_path, use)

    cure = "find the machine with the MAC 52:54:00:00:00:77 and take the address from it"
    data = {"address": "192.0.2.101", "holder": HOLDER, "cure": cure}
    assert [(event.name, event.host, event.data) for event in events] == [("lease.conflict_found", "cp1", data)] * 2


def test_an_end_that_is_written_late_never_covers_the_lease_that_came_after_it(tmp_path: Path):
    async def use(house: Leasing) -> dict[IPv4Address, LeaseState]:
        for mac in (MAC, STRANGER_MAC):
            await house.desk.keep(house.granted(mac))
        house.clock.pass_(3600)
        sweeping = asyncio.create_task(house.desk.sweep())
        await asyncio.sleep(0)
        again = house.granted(STRANGER_MAC)
        assert again.lease.address == POOLED
        await house.desk.keep(again)
        await sweeping
        return {lease.address: lease.state for lease in await LeaseLedger(house.database).all()}

    assert leasing(tmp_path, use) == {RESERVED: LeaseState.EXPIRED, POOLED: LeaseState.BOUND}
