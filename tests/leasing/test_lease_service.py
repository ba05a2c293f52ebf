"""Leases on disk: no reply without a stored lease, and each problem is reported once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

import pytest
from fixtures.services import MAC, OTHER_MAC, UNKNOWN_MAC, FakeClock
from structlog.testing import capture_logs

from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.leasing import lease_service
from netboot.leasing.lease_service import LeaseService
from netboot.model.clock import Clock
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.model.lease import (
    AddressRange,
    LeaseClosed,
    LeaseDropReason,
    LeaseGranted,
    LeaseOffered,
    LeasePolicy,
    LeaseRequest,
    LeaseRequestKind,
    LeaseState,
    LeaseToProbe,
    LeaseVerdict,
)
from netboot.store.database import Database
from netboot.store.leases import LeaseStore

T = TypeVar("T")

LAN, OURS = IPv4Network("192.0.2.0/24"), IPv4Address("192.0.2.10")
RESERVED, POOLED = IPv4Address("192.0.2.101"), IPv4Address("192.0.2.200")
CP1 = Host(HostName("cp1"), Role.WORKER, (MAC,), network=HostNetwork(IPv4Interface("192.0.2.101/24")))
HOLDER = Mac("52:54:00:00:00:77")


@dataclass
class Leasing:
    """A lease service with a real store; only the clock is ours."""

    lease_service: LeaseService
    database: Database
    event_log: EventLog
    clock: FakeClock

    def decide(self, kind: LeaseRequestKind, mac: Mac, address: IPv4Address | None = None) -> LeaseVerdict:
        request = LeaseRequest(kind, f"hw:01:{mac}", mac, address)
        verdict = self.lease_service.decide(request, [LAN], [OURS])
        if isinstance(verdict, LeaseToProbe) and self.lease_service.record_probe(request, verdict.address, None):
            verdict = self.lease_service.decide(request, [LAN], [OURS])
        return verdict

    def granted(self, mac: Mac) -> LeaseGranted:
        offered = self.decide(LeaseRequestKind.DISCOVER, mac)
        assert isinstance(offered, LeaseOffered)
        granted = self.decide(LeaseRequestKind.SELECTING, mac, offered.terms.address)
        assert isinstance(granted, LeaseGranted)
        return granted

    async def reported(self) -> list[tuple[str, str | None]]:
        await self.event_log.flush()
        return [(event.name, event.host) for event in await self.event_log.after(0)]


def leasing(directory: Path, use: Callable[[Leasing], Awaitable[T]]) -> T:
    """Use a service that leases cp1's address and a pool of one."""

    async def scenario() -> T:
        clock = FakeClock()
        database = await Database.open(f"sqlite+aiosqlite:///{directory}/netboot.db")
        try:
            event_log, hosts = EventLog(database), HostSet.of(Cluster("test"), [CP1])
            lease_service = LeaseService(
                LeasePolicy((AddressRange(POOLED, POOLED),), 3600),
                LeaseStore(database),
                hosts=lambda: hosts,
                events=EventBus(event_log, now=clock.now),
                clock=Clock(clock.now, clock.monotonic, clock.random_bytes),
            )
            await lease_service.load()
            return await use(Leasing(lease_service, database, event_log, clock))
        finally:
            await database.close()

    return asyncio.run(scenario())


def test_a_new_lease_is_an_event_and_a_renewal_is_not(tmp_path: Path):
    async def use(services: Leasing) -> list[tuple[str, str | None]]:
        assert await services.lease_service.keep(services.granted(MAC)) is None
        renewed = services.decide(LeaseRequestKind.RENEWING, MAC, RESERVED)
        assert isinstance(renewed, LeaseGranted)
        assert await services.lease_service.keep(renewed) is None
        return await services.reported()

    assert leasing(tmp_path, use) == [("lease.granted", "cp1")]


def test_a_lease_that_is_kept_is_there_after_a_restart(tmp_path: Path):
    async def first(services: Leasing) -> None:
        await services.lease_service.keep(services.granted(UNKNOWN_MAC))

    async def second(services: Leasing) -> list[object]:
        return [
            services.decide(LeaseRequestKind.DISCOVER, OTHER_MAC),
            services.decide(LeaseRequestKind.INIT_REBOOT, UNKNOWN_MAC, POOLED),
        ]

    leasing(tmp_path, first)
    drop_reason, granted = leasing(tmp_path, second)

    assert drop_reason is LeaseDropReason.POOL_EXHAUSTED
    assert isinstance(granted, LeaseGranted)


def test_without_a_store_nothing_is_leased_and_the_address_stays_free(tmp_path: Path):
    async def use(services: Leasing) -> tuple[LeaseDropReason | None, LeaseVerdict]:
        granted = services.granted(UNKNOWN_MAC)
        async with services.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE leases")
        drop_reason = await services.lease_service.keep(granted)
        services.clock.pass_(61)
        return drop_reason, services.decide(LeaseRequestKind.DISCOVER, OTHER_MAC)

    drop_reason, other = leasing(tmp_path, use)

    assert drop_reason is LeaseDropReason.STORE_UNREACHABLE
    assert isinstance(other, LeaseOffered)


def test_a_grant_that_was_declined_while_it_was_written_is_not_acknowledged(tmp_path: Path):
    async def use(services: Leasing) -> LeaseDropReason | None:
        granted = services.granted(UNKNOWN_MAC)
        services.decide(LeaseRequestKind.DECLINE, UNKNOWN_MAC, POOLED)
        return await services.lease_service.keep(granted)

    assert leasing(tmp_path, use) is LeaseDropReason.NOT_ITS_ADDRESS


def test_release_and_decline_are_stored_and_reported(tmp_path: Path):
    async def use(services: Leasing) -> tuple[list[LeaseState], list[tuple[str, str | None]]]:
        states = []
        for kind in (LeaseRequestKind.RELEASE, LeaseRequestKind.DECLINE):
            await services.lease_service.keep(services.granted(MAC))
            closed = services.decide(kind, MAC, RESERVED)
            assert isinstance(closed, LeaseClosed)
            assert await services.lease_service.keep(closed) is None
            states += [lease.state for lease in await LeaseStore(services.database).all()]
        return states, await services.reported()

    states, reported = leasing(tmp_path, use)

    assert states == [LeaseState.RELEASED, LeaseState.DECLINED]
    names = ["lease.granted", "lease.released", "lease.granted", "lease.declined"]
    assert reported == [(name, "cp1") for name in names]


def test_a_problem_is_reported_once_in_ten_minutes_for_each_address(tmp_path: Path):
    async def use(services: Leasing) -> list[Event]:
        request = LeaseRequest(LeaseRequestKind.DISCOVER, "x", MAC)
        for pause_s in (0, 4, 600):
            services.clock.pass_(pause_s)
            assert services.lease_service.decide(request, [LAN], [OURS]) == LeaseToProbe(RESERVED, False)
            assert not services.lease_service.record_probe(request, RESERVED, HOLDER)
        await services.event_log.flush()
        return await services.event_log.after(0)

    events = leasing(tmp_path, use)

    cure = "find the machine with the MAC 52:54:00:00:00:77 and take the address from it"
    data = {"address": "192.0.2.101", "holder": HOLDER, "cure": cure}
    assert [(event.name, event.host, event.data) for event in events] == [("lease.conflict_found", "cp1", data)] * 2


def test_an_end_that_is_written_late_never_covers_the_lease_that_came_after_it(tmp_path: Path):
    async def use(services: Leasing) -> dict[IPv4Address, LeaseState]:
        for mac in (MAC, UNKNOWN_MAC):
            await services.lease_service.keep(services.granted(mac))
        services.clock.pass_(3600)
        sweeping = asyncio.create_task(services.lease_service.sweep())
        await asyncio.sleep(0)
        again = services.granted(UNKNOWN_MAC)
        assert again.lease.address == POOLED
        await services.lease_service.keep(again)
        await sweeping
        return {lease.address: lease.state for lease in await LeaseStore(services.database).all()}

    assert leasing(tmp_path, use) == {RESERVED: LeaseState.EXPIRED, POOLED: LeaseState.BOUND}


def test_an_ended_lease_is_stored_as_ended_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease_service, "SWEEP_S", 0.01)

    async def use(services: Leasing) -> list[LeaseState]:
        await services.lease_service.keep(services.granted(UNKNOWN_MAC))
        running = asyncio.create_task(services.lease_service.run())
        services.clock.pass_(3600)
        async with asyncio.timeout(10):
            while (states := await states_in(services.database)) == [LeaseState.BOUND]:  # noqa: ASYNC110 - in the store
                await asyncio.sleep(0.01)
        running.cancel()
        return states

    assert leasing(tmp_path, use) == [LeaseState.EXPIRED]


def test_a_store_that_fails_is_logged_once_for_the_ends_and_once_for_each_address_that_is_held_back(tmp_path: Path):
    async def use(services: Leasing) -> None:
        for _ in range(2):
            for mac in (MAC, UNKNOWN_MAC):
                await services.lease_service.keep(services.granted(mac))
            services.clock.pass_(3600)
            async with services.database.transaction() as connection:
                await connection.exec_driver_sql("ALTER TABLE leases RENAME TO away")
            await services.lease_service.sweep()
            for _ in range(2):
                assert await services.lease_service.keep(services.granted(MAC)) is LeaseDropReason.STORE_UNREACHABLE
            async with services.database.transaction() as connection:
                await connection.exec_driver_sql("ALTER TABLE away RENAME TO leases")

    with capture_logs() as logs:
        leasing(tmp_path, use)

    faults = [line for line in logs if line["log_level"] != "info"]
    shown = [(line["event"], line["log_level"]) for line in faults]
    assert shown == [("lease.end_delayed", "warning"), ("lease.held_back", "error")] * 2
    assert [line["address"] for line in faults if line["event"] == "lease.held_back"] == [str(RESERVED)] * 2
    assert all("no such table: leases" in line["reason"] for line in faults)


async def states_in(database: Database) -> list[LeaseState]:
    return [lease.state for lease in await LeaseStore(database).all()]
