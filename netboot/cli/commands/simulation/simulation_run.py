"""Runs one simulation: reads what the appliance has of the MAC, decides what may be sent, plays, compares, prints."""

import asyncio
import signal
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

import click

from netboot.cli.commands.simulation.api_access import appliance_api
from netboot.cli.commands.simulation.interface_choice import Addresses, addresses_here, chosen_interface
from netboot.cli.views.output import print_json
from netboot.cli.views.simulation.simulation_report import SimulationReport, report_lines, report_view
from netboot.cli.views.simulation.simulation_view import event_line
from netboot.control_socket import ApiServer
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.model.words import printable
from netboot.probe.appliance_record import ApplianceRecord, RecordMark
from netboot.probe.boot import BootOutcome, simulate_boot
from netboot.probe.comparison import Comparison, compare
from netboot.probe.firmwares.firmware_profile import FirmwareProfile
from netboot.probe.lan.impairment import NO_IMPAIRMENT, Impairment
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.machine import Behaviour, SimulatedMachine
from netboot.probe.machine_boot import Permissions
from netboot.probe.machine_timeline import ClientEvent, MachineTimeline
from netboot.probe.scope.simulated_identity import identity_of
from netboot.probe.scope.simulation_scope import (
    Scope,
    ScopeRequest,
    SimulationRefusedError,
    drawn_mac,
    mac_for,
    notes_of,
    scope_of,
)

if TYPE_CHECKING:
    from netboot.client import ControlClient

TERMINATED: Final = 128 + signal.SIGTERM
_RECORDED_S: Final = 5.0  # until the server has written what it recorded last
_AGAIN_S: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationRequest:
    """What the operator requests."""

    profile: FirmwareProfile
    until: Step
    behaviour: Behaviour
    mac: Mac | None = None
    interface: str | None = None
    address: IPv4Interface | None = None
    impairment: Impairment = NO_IMPAIRMENT
    seed: int = 0
    is_deviant: bool = False  # so that the server records that something went wrong
    spends: bool = False
    disturbs: bool = False
    server: ApiServer | None = None


def run_to_the_end(simulation: Coroutine[Any, Any, int]) -> int:
    """Run a simulation; SIGTERM ends it as Ctrl-C does, so that leases are released and addresses removed."""

    async def run() -> int:
        task = asyncio.ensure_future(simulation)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            return TERMINATED

    return asyncio.run(run())


async def simulate_machine(config: Path, request: SimulationRequest, *, as_json: bool) -> int:
    """Play one machine and print both sides; return the exit code."""
    async with appliance_api(config, request.server) as client:
        run = await begin_run(client, request, as_json=as_json)
        report = await run.play()
    if as_json:
        print_json(report_view(report))
    else:
        for line in report_lines(report):
            click.echo(line)
    return 0 if report.is_right else 1


async def begin_run(client: "ControlClient | None", request: SimulationRequest, *, as_json: bool) -> "SimulationRun":
    """Decide which machine is played and what it may send; raise SimulationRefusedError."""
    addresses = await addresses_here()
    interface = chosen_interface(request.interface, addresses)
    profile = request.profile
    is_drawn = request.mac is None and client is None and not request.spends
    made = drawn_mac(profile.mac_prefix) if is_drawn else mac_for(profile.name, profile.mac_prefix)
    mac = request.mac or made
    record = ApplianceRecord(client, mac) if client is not None else None
    known = await record.known() if record is not None else None
    played = ScopeRequest(mac, known, request.spends, request.disturbs, is_made=request.mac is None, is_drawn=is_drawn)
    run = SimulationRun(request, interface, addresses, played, scope_of(played), record, as_json)
    await run.verify_address()
    await run.verify_identity()
    return run


@dataclass(frozen=True, slots=True)
class SimulationRun:
    """One simulation that may begin."""

    request: SimulationRequest
    interface: str
    addresses: Addresses
    played: ScopeRequest
    scope: Scope
    record: ApplianceRecord | None
    as_json: bool

    @property
    def uuid(self) -> UUID:
        return uuid5(NAMESPACE_OID, f"netboot simulate {self.played.mac}")

    @property
    def notes(self) -> Sequence[str]:
        """What an operator needs to read before."""
        return notes_of(self.scope, self.played)

    @property
    def permissions(self) -> Permissions:
        """What the machine may request, judged again directly before it does."""
        return Permissions(self._script_refusal, self._address_refusal)

    async def play(self) -> SimulationReport:
        """Play the machine, then read what the server recorded."""
        notes = self.notes
        self.report(f"{self.request.profile.name}, {self.played.mac} on {self.interface}")
        for note in notes:
            self.report(f"note: {note}")
        marks = [(record, await record.mark()) for record in self._records]
        outcome = await self._run_boot()
        comparison = await self._compared(marks, outcome) if marks else None
        return SimulationReport(
            self.request.profile, self.played.mac, self.uuid, self.interface, self.scope, self.host, notes, outcome,
            comparison, is_deviant=self.request.is_deviant,
        )  # fmt: skip

    async def verify_address(self) -> None:
        """Refuse an address that the appliance attributes to a host, whose boot record would get our requests."""
        if self.record is None or self.scope is Scope.SPENDING:
            return
        wanted = [self.request.address] if self.request.address else []
        for address in wanted or (self.addresses[self.interface][:1] if self.scope is Scope.REHEARSAL else ()):
            host = await self.record.host_at(address.ip)
            if host is not None:
                raise SimulationRefusedError(
                    f"{address.ip} is the address of {host}, and files that are loaded from it are recorded as steps "
                    "of its boot; give another one with --address, or --spend"
                )

    async def verify_identity(self) -> None:
        """Refuse a firmware that the appliance takes for a host by another address than the MAC, as by its UUID."""
        other = identity_of(self.request.profile, self.uuid)
        if other is None or self.record is None or self.scope is Scope.SPENDING:
            return
        known = await ApplianceRecord(self.record.client, other).known()
        if known.host is not None:
            raise SimulationRefusedError(
                f"the appliance identifies {self.request.profile.name} by {other}, which is registered as "
                f"{known.host}; play another --mac, or add --spend"
            )

    async def _run_boot(self) -> BootOutcome:
        request = self.request
        lan = LanInterface.open(self.interface, impairment=request.impairment, seed=request.seed)
        async with lan as opened:
            timeline = MachineTimeline(time.monotonic, report=self.show)
            machine = SimulatedMachine(
                self.played.mac, self.uuid, request.profile, opened, timeline, request.behaviour, request.address
            )
            plan = None
            if self.scope is Scope.REHEARSAL:
                assert self.record is not None
                assert self.host is not None
                plan = await self.record.plan(self.host)
                own = self.addresses[self.interface]
                machine.address = own[0].ip if own else None
            return await simulate_boot(
                machine, until=request.until, spends=request.spends, plan=plan, permissions=self.permissions
            )

    async def _script_refusal(self) -> str | None:
        """Return why the script may not be requested now; None if it may. The host may be registered meanwhile."""
        if self.scope is Scope.SPENDING:
            return None
        if self.scope is Scope.BEFORE_SCRIPT:
            return "it is not known whether a host has this MAC, and its script could spend an arming"
        for record in self._records:  # by its MAC, and by its UUID
            known = await record.known()
            if known.host is not None:
                return f"{known.host} was registered with this machine's MAC or UUID meanwhile"
            if known.boots_once:
                return f"{known.boots_once} was requested for this machine meanwhile"
        return None

    async def _address_refusal(self, address: IPv4Address) -> str | None:
        """Return why no file may be read from the address that the machine got; None if it may."""
        host = await self.record.host_at(address) if self.record is not None else None
        if host is None:
            return None
        return f"{address}, which the machine got, is the address of {host}, whose boot would get its requests"

    async def _compared(
        self, marks: Sequence[tuple[ApplianceRecord, RecordMark]], outcome: BootOutcome
    ) -> Comparison | None:
        """Read the server's record until it has what the machine did, at most some seconds; then compare."""
        if self.scope is Scope.REHEARSAL:
            return None
        until_s = time.monotonic() + _RECORDED_S
        while True:
            found = [await record.since(mark) for record, mark in marks]
            boots = sorted((boot for each in found for boot in each.boots), key=lambda boot: str(boot["began_at"]))
            events = [event for each in found for event in each.events]
            comparison = compare(outcome.timeline.events, boots, events, failed_at=outcome.unfinished)
            if not comparison.differences or time.monotonic() > until_s:
                return comparison
            await asyncio.sleep(_AGAIN_S)

    @property
    def _records(self) -> Sequence[ApplianceRecord]:
        """Return the records of the machine: by its MAC, and by the address that stands for its UUID."""
        if self.record is None:
            return ()
        other = identity_of(self.request.profile, self.uuid)
        return (self.record, *([ApplianceRecord(self.record.client, other)] if other is not None else []))

    @property
    def host(self) -> str | None:
        """The registered host with this MAC."""
        return self.played.known.host if self.played.known is not None else None

    def show(self, event: ClientEvent) -> None:
        """Print what the machine did, unless JSON is wanted."""
        self.report(event_line(event))

    def report(self, line: str) -> None:
        """Print a line, unless JSON is wanted."""
        if not self.as_json:
            click.echo(printable(line))
