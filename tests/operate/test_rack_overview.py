"""All hosts in one pass: as `install show` has each of them; and while the store fails, what the memory has."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, BuiltServices, WithServices
from sqlalchemy import text

from netboot.boot.install_moves import ChangeCause
from netboot.events.newest_events import NewestEvents
from netboot.model.boot.causes.cause import Cause, Shortage
from netboot.model.boot.causes.cause_table import cause_of
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import HostName
from netboot.model.install.event import Event, Step
from netboot.model.install.install import InstallEvent, InstallState
from netboot.model.power.power import PowerState
from netboot.operate.boots.boot_history import BootHistory
from netboot.operate.host_status import situation_of
from netboot.operate.power.power_request import ObservedPower
from netboot.operate.rack import host_causes
from netboot.operate.rack.host_causes import HostCauses, Suspect
from netboot.operate.rack.rack_overview import RackOverview
from netboot.operate.rack.rack_row import Attention

CP1, W1 = HostName("cp1"), HostName("w1")
POWER = ObservedPower(CP1, PowerState.OFF, datetime(2026, 11, 21, tzinfo=UTC))


class Daemon:
    """Stands for the daemon, which this package must not import."""

    def __init__(self) -> None:
        self.unserved_now: list[str] = []
        self.shortage_now: Shortage | None = None

    def status(self) -> Any:
        class Status:
            problems, warnings, machines = ("no interface",), ("cp1 booted as BIOS",), 2

        return Status()

    def unserved(self) -> list[str]:
        return self.unserved_now

    def shortage(self) -> Shortage | None:
        return self.shortage_now


def overview(services: BuiltServices, daemon: Daemon | None = None) -> RackOverview:
    used = daemon or Daemon()

    def durations() -> ExpectedDurations:
        return services.durations.now

    async def known(name: str) -> HostName:
        return HostName(name)

    causes = HostCauses(
        services.event_log,
        services.install_moves,
        durations=durations,
        unserved=used.unserved,
        shortage=used.shortage,
        now=services.clock.now,
    )
    boots = BootHistory(
        services.boot_recorder, services.boot_waits, known, progress=lambda _: None, now=services.clock.now
    )
    return RackOverview(
        services.install_moves,
        services.inspections,
        boots,
        NewestEvents(services.event_log),
        causes,
        used,  # type: ignore[arg-type]
        hosts=services.registry.hosts,
        machine_of=services.seen.machine_of,
        durations=durations,
        power_of={CP1: POWER}.get,
        now=services.clock.now,
    )


async def failed(services: BuiltServices) -> None:
    """Let the install of cp1 fail."""
    await services.install_moves.arm_all([CP1], reason="first", attempts=1)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)
    cause = ChangeCause(MAC, "pre: no disk")
    await services.install_moves.move(CP1, InstallEvent.REPORTED_FAILED, cause=cause)
    await services.event_log.flush()


def test_a_failed_host_has_the_cause_that_install_show_has(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await failed(services)
        rack = await overview(services).read()
        cp1, w1 = rack.rows

        install = await services.install_moves.read(CP1)
        situation = situation_of(
            install,
            await services.event_log.newest(CP1, limit=500),
            await services.install_moves.history(CP1),
            machines=[cp1.machine] if cp1.machine else [],
            durations=services.durations.now,
            unserved=(),
            shortage=None,
            now=services.clock.now(),
        )
        assert (cp1.install, cp1.cause, cp1.attention) == (install, cause_of(situation), Attention.CAUSE)
        assert cp1.cause is not None
        assert (cp1.address, cp1.event and cp1.event.name) == (ADDRESS, "install.moved")
        assert (w1.install.state, w1.cause, w1.attention) == (InstallState.REGISTERED, None, None)
        assert (rack.problems, rack.warnings, rack.unregistered) == (("no interface",), ("cp1 booted as BIOS",), 2)
        assert rack.store_fault is None

    with_services(scenario)


def test_a_running_boot_has_what_it_waits_for_and_a_requested_boot_is_shown(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await services.inspections.request([host.mac for host in services.hosts if host.name == W1])
        await services.install_moves.arm_all([CP1], reason="first", attempts=1)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)

        cp1, w1 = (await overview(services).read()).rows

        assert (cp1.wait and cp1.wait.wait.step, cp1.is_overdue) == (Step.KERNEL, False)
        assert cp1.percent is not None
        assert w1.request is not None
        assert (w1.boot, w1.percent) == (None, None)

    with_services(scenario)


def test_while_the_store_fails_the_rows_are_what_the_memory_has(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await failed(services)
        made = overview(services)
        before = await made.read()
        async with services.database.transaction() as connection:
            await connection.execute(text("DROP TABLE installs"))
            await connection.execute(text("DROP TABLE events"))
        services.event_log.take(Event("boot.offered", services.clock.now(), CP1, MAC), logging.INFO)

        after = await made.read()

        assert after.store_fault is not None
        assert "installs" in after.store_fault
        assert [row.install for row in after.rows] == [row.install for row in before.rows]
        assert after.rows[0].cause == before.rows[0].cause

    with_services(scenario)


def test_a_cause_is_found_again_only_after_a_change(with_services: WithServices, monkeypatch: Any):
    found: list[Sequence[Suspect]] = []
    find = HostCauses._find

    async def counted(self: HostCauses, suspects: Sequence[Suspect], *others: Any) -> None:
        found.append(suspects)
        await find(self, suspects, *others)

    monkeypatch.setattr(HostCauses, "_find", counted)

    async def scenario(services: BuiltServices) -> None:
        daemon = Daemon()
        made = overview(services, daemon)
        await failed(services)
        await asyncio.gather(made.read(), made.read())
        assert len(found) == 1
        services.clock.pass_(2 * host_causes.KEPT_FOR.total_seconds())
        await made.read()
        assert len(found) == 1  # it is at rest
        daemon.unserved_now = ["nothing is served"]
        await made.read()
        await services.install_moves.arm_all([CP1], reason="again", attempts=1)
        await made.read()
        assert len(found) == 3
        services.clock.pass_(2 * host_causes.KEPT_FOR.total_seconds())
        await made.read()
        assert len(found) == 4  # armed: that nothing comes may be a cause meanwhile

    with_services(scenario)


def test_the_causes_of_many_hosts_are_read_in_parts(with_services: WithServices, monkeypatch: Any):
    monkeypatch.setattr(host_causes, "HOSTS_AT_ONCE", 1)

    async def scenario(services: BuiltServices) -> dict[HostName, Cause | None]:
        await services.install_moves.arm_all([CP1, W1], reason="first", attempts=1)
        rack = await overview(services).read()
        return {row.host.name: row.cause for row in rack.rows}

    causes = with_services(scenario)

    assert {name: cause and cause.name for name, cause in causes.items()} == {"cp1": "not-heard", "w1": "not-heard"}


def test_a_row_has_the_power_of_its_machine_if_it_was_read(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        rows = (await overview(services).read()).rows

        assert {row.host.name: row.power for row in rows if row.power is not None} == {CP1: POWER}
        assert W1 in {row.host.name for row in rows}

    with_services(scenario)
