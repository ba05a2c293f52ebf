"""The use cases of an operator, one method each; they return values of `model` and `operate`.

Used by the daemon's API and by the commands that run without a daemon. Never returns a token.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.boot_records.kept_records import KeptRecords
from netboot.boot_records.record_files import Owner
from netboot.errors import ConfigError, NetbootError, StoreError, UnknownHostError
from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.causes.cause import NEWEST_EVENTS
from netboot.model.boot.causes.cause_table import cause_of, store_fault
from netboot.model.boot.causes.evidence import BY_ANYBODY, NEWEST_BY_ANYBODY
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import Deadline
from netboot.model.install.event import Event
from netboot.model.install.inspection import requested_boot
from netboot.model.install.install import Install, InstallTarget, Move
from netboot.model.install.served_document import ServedDocument
from netboot.model.words import one_line
from netboot.operate import host_status
from netboot.operate.actions.host_actions import HostActions
from netboot.operate.actions.host_arming import HostArming
from netboot.operate.arming import ArmRequest, CancelRequest, ConfirmRequest, cancel_notes
from netboot.operate.audit import audited
from netboot.operate.boots.boot_history import BootHistory
from netboot.operate.boots.boot_waits import BootWaits, WaitStatus
from netboot.operate.cluster.role_deadlines import deadlines_of
from netboot.operate.cluster.role_file_uses import IgnitionRequest, RoleFileStatus, RoleFileUses, TakenIgnition
from netboot.operate.content_uses import ContentUse, content_uses
from netboot.operate.one_time_boots import OneTimeBoots
from netboot.operate.power.bmc_credentials import BmcCredentialFiles
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.registration.host_changes import HostChanges, HostFiles
from netboot.operate.running_daemon import (
    NO_DAEMON,
    ApplianceStatus,
    ReloadResult,
    RescanRequest,
    RescanResult,
    RunningDaemon,
)
from netboot.operate.selection import EVERY_HOST, HostSelection
from netboot.store.allocations import Allocations
from netboot.store.machines import Machines
from netboot.store.served_documents import ServedDocuments

if TYPE_CHECKING:
    from netboot.operate.readiness import Readiness  # slow to load


class Administration:
    def __init__(
        self,
        install_moves: InstallMoves,
        events: EventBus,
        *,
        event_log: EventLog,
        machines: Machines,
        allocations: Allocations,
        served: ServedDocuments,
        boot_waits: BootWaits,
        boot_recorder: BootRecorder,
        inspections: InspectionRecords,
        hosts: Callable[[], HostSet],
        host_files: HostFiles,
        readiness: "Callable[[], Readiness]",
        role_files: RoleFileUses,
        attempts: int,
        now: Callable[[], datetime],
        records: KeptRecords,
        daemon: RunningDaemon | None = None,
        power: PowerRequests | None = None,
        bmc_credentials: Path,
        are_complete: bool = True,
    ) -> None:
        """Work on the store, and through `daemon` if this is its process.

        `hosts` are those in force, and `readiness` is built when hosts are armed; `are_complete`: the files declare no
        other host. `attempts` is the default of an arming. The actor of a change that names none is the user of this
        process.
        """
        self._install_moves, self._inspections, self._boot_waits = install_moves, inspections, boot_waits
        self._events, self._event_log, self._machines, self._served = events, event_log, machines, served
        self._hosts, self._role_files = hosts, role_files
        self._are_complete, self._now, self._daemon = are_complete, now, daemon
        self._user = Actor(f"uid {os.getuid()}", Source.COMMAND)
        self.one_time_boots = self._one_time_boots(readiness)
        self.logs, self.captures = records.logs(self.known_machine), records.captures(self.known_machine)
        progress = daemon.boot_progress if daemon is not None else None
        self.boots = BootHistory(boot_recorder, boot_waits, self.known_machine, progress=progress, now=now)
        self.host_changes = HostChanges(
            host_files,
            install_moves,
            events,
            one_time_boots=self.one_time_boots,
            machines=machines,
            allocations=allocations,
            inspections=inspections,
            discovered=self._discovered,
            daemon=daemon,
            user=self._user,
            now=now,
        )

        self._power = power
        self.bmc_credentials = BmcCredentialFiles(bmc_credentials, hosts, events, self._user)
        self.arming = self._host_arming(machines, readiness, attempts)
        self.host_actions = HostActions(
            self.arming, self.one_time_boots, self.host_changes, power, hosts=hosts, now=now
        )

    @property
    def power(self) -> PowerRequests:
        """The power actions of a running daemon; raise NetbootError if none runs."""
        if self._power is None:
            raise NetbootError(NO_DAEMON)
        return self._power

    def _one_time_boots(self, readiness: "Callable[[], Readiness]") -> OneTimeBoots:
        return OneTimeBoots(
            self._inspections,
            self._install_moves,
            self._events,
            hosts=self._hosts,
            discovered=self._discovered,
            readiness=readiness,
            user=self._user,
            now=self._now,
        )

    def _host_arming(self, machines: Machines, readiness: "Callable[[], Readiness]", attempts: int) -> HostArming:
        return HostArming(
            self._install_moves,
            self._inspections,
            machines,
            hosts=self._hosts,
            readiness=readiness,
            problems=self._daemon.problems if self._daemon is not None else list,
            status=self._status,
            attempts=attempts,
            user=self._user,
        )

    def _running(self) -> RunningDaemon:
        if self._daemon is None:
            raise NetbootError(NO_DAEMON)
        return self._daemon

    async def status(self) -> ApplianceStatus:
        status = self._running().status()
        try:
            return ApplianceStatus(status, await self.last_event_id(), None)
        except StoreError as error:
            return ApplianceStatus(status, None, str(error))

    async def reload(self, *, actor: Actor | None = None) -> ReloadResult:
        """Put the files in force as they are now; raise ConfigError if the previous ones stay."""
        with audited(self._events, "reload", actor or self._user):
            return await self._running().reload()

    async def rescan_content(self, request: RescanRequest, *, actor: Actor | None = None) -> RescanResult:
        """Read the content directory, or one entry of it, again, but not the configuration."""
        with audited(self._events, "change content", actor or self._user, subject=request.change):
            return await self._running().rescan_content(request.entry)

    async def hosts(self, selection: HostSelection = EVERY_HOST) -> list[host_status.HostStatus]:
        installs, inspections = await self._install_moves.all(), await self._inspections.all()
        waits = await self._boot_waits.of_all()
        return [
            host_status.HostStatus(
                host,
                self._status(installs.get(host.name) or Install(host.name)),
                requested_boot([inspections[mac] for mac in host.macs if mac in inspections]),
                waits.get(host.name),
            )
            for host in selection.of(self._hosts())
        ]

    async def machines(self) -> list[host_status.DiscoveredMachine]:
        """List the machines that requested a boot and are not registered."""
        inspections = await self._inspections.all()
        return [
            host_status.DiscoveredMachine(machine, inspections.get(machine.mac)) for machine in await self._discovered()
        ]

    async def _discovered(self) -> list[Machine]:
        if self._daemon is not None:
            return self._daemon.discovered()
        recorded = (await self._machines.all()).values()
        return [found for found in recorded if found.arch and self._hosts().by_mac(found.mac) is None]

    async def host(self, name: str) -> host_status.HostReport:
        """Show one host; raise UnknownHostError."""
        host = self._hosts().named(name)
        install = await self._install_moves.read(host.name)
        events, history = await self._progress(host.name)
        machines = await self._machines.of(host.macs)
        last_seen = max((machine.last_seen for machine in machines), default=None)
        heard = host_status.heard(events, history, last_seen)
        inspections = await self._inspections.of(host.macs)
        report = await self._report(install, events, history, machines=machines)
        return host_status.HostReport(host, report, heard, machines, inspections)

    async def arm(self, request: ArmRequest, *, actor: Actor | None = None) -> list[host_status.ArmedHost]:
        """Allow one install of each host, of all of them or of none; raise ArmingRefusedError with every reason."""
        return await self.arming.arm(request, actor=actor)

    async def cancel(self, name: str, *, reason: str = "", actor: Actor | None = None) -> host_status.CancelledInstall:
        """Cancel a host's arming, also of a host that is no longer declared; return what continues."""
        host, by = await self.known_host(name), actor or self._user
        change = await self._install_moves.cancel(host, reason=one_line(reason), actor=by)
        return host_status.CancelledInstall(self._status(change.after), cancel_notes(change.before))

    async def cancel_all(
        self, request: CancelRequest, *, actor: Actor | None = None
    ) -> list[host_status.CancelledInstall]:
        """Cancel the armings of several hosts; of none if a name is unknown."""
        names = request.hosts or request.selection.names(self._hosts())
        known = [await self.known_host(name) for name in dict.fromkeys(names)]
        return [await self.cancel(name, reason=request.reason, actor=actor) for name in known]

    async def confirm(self, request: ConfirmRequest, *, actor: Actor | None = None) -> host_status.ConfirmedInstall:
        """Confirm the machine of a held install, which goes on by itself; raise TransitionError if none is held."""
        host, by = await self.known_host(request.host), actor or self._user
        change = await self._install_moves.confirm(host, request.hold, reason=one_line(request.reason), actor=by)
        assert change.before.hold is not None
        return host_status.ConfirmedInstall(self._status(change.after), change.before.hold)

    async def install(self, name: str) -> host_status.InstallReport:
        """Return a host's install, also of a host that is no longer declared.

        If the store fails, a running daemon has the install of a declared host from memory, with this cause.
        """
        try:
            return await self._stored_install(name)
        except StoreError as error:
            host = self._hosts().get(name)
            if self._daemon is None or host is None:
                raise
            status = self._status(self._install_moves.known(host.name))
            return host_status.InstallReport(status, store_fault(str(error)))

    async def _stored_install(self, name: str) -> host_status.InstallReport:
        install = await self._install_moves.read(await self.known_host(name))
        host = self._hosts().get(install.host)
        machines = await self._machines.of(host.macs) if host is not None else []
        return await self._report(install, *await self._progress(install.host), machines=machines)

    async def installs(self) -> list[host_status.InstallStatus]:
        """List every stored install, also of hosts that are no longer declared."""
        return [self._status(install) for _, install in sorted((await self._install_moves.all()).items())]

    async def history(self, name: str) -> list[Move]:
        """Return every transition of a host, oldest first."""
        return await self._install_moves.history(await self.known_host(name))

    async def served_documents(self, name: str) -> list[ServedDocument]:
        """Return what a host was served last, without tokens and without the role's file."""
        return await self._served.of(await self.known_host(name))

    async def ignition_files(self) -> list[RoleFileStatus]:
        """List the Ignition files that roles and hosts name."""
        return await asyncio.to_thread(self._role_files.all)

    async def ignition_of_another_cluster(self, request: IgnitionRequest) -> list[Path]:
        """List the files in place that are of another cluster than a file to take; raise RoleFileError if it is bad."""
        return await asyncio.to_thread(self._role_files.of_another_cluster, request)

    async def set_ignition(self, request: IgnitionRequest, *, actor: Actor | None = None) -> TakenIgnition:
        """Take a file for a role and read the hosts files again; raise RoleFileError if it is refused."""
        by = actor or self._user
        with audited(self._events, "set ignition", by, subject=request.use.value):
            taken = await asyncio.to_thread(self._role_files.take, request)
        if self._daemon is None:
            return taken
        try:
            await self._daemon.reload()
        except (ConfigError, StoreError) as error:  # of other values; the file itself is read again at each request
            return replace(taken, kept=str(error))
        return taken

    async def content_uses(self) -> list[ContentUse]:
        pulls = self._daemon.pulls() if self._daemon else ()
        return content_uses(self._hosts(), await self._install_moves.all(), pulls=pulls, now=self._now())

    async def last_event_id(self) -> int:
        return await self._event_log.last_id()

    async def events(
        self, *, after: int = 0, host: str | None = None, follow: bool = True
    ) -> AsyncGenerator[Event | None, None]:
        """Yield the events after an id; with `follow`, also later ones until the daemon stops, and None each second."""
        name = await self.known_host(host) if host else None
        if follow:
            async for each in self._event_log.feed.follow(after, host=name):
                yield each
            return
        newest = await self._event_log.last_id()
        while batch := [each for each in await self._event_log.after(after, name) if each.id <= newest]:
            for event in batch:
                yield event
            after = batch[-1].id

    async def _progress(self, host: HostName) -> tuple[list[Event], list[Move]]:
        """Read the newest events and the history of a host, which show why it does not proceed."""
        events = await self._event_log.newest(
            host, limit=NEWEST_EVENTS, apart=BY_ANYBODY, limit_apart=NEWEST_BY_ANYBODY
        )
        return events, await self._install_moves.history(host)

    async def known_host(self, name: str) -> HostName:
        """Find a declared host, or one with a stored install; raise UnknownHostError."""
        if self._hosts().get(name) is None and HostName(name) not in await self._install_moves.all():
            self._hosts().named(name)
        return HostName(name)

    async def known_machine(self, name: str) -> Owner:
        """Find a host by its name or by the MAC of a card, or another machine by its MAC; raise UnknownHostError."""
        try:
            return await self.known_host(name)
        except UnknownHostError:
            try:
                mac = Mac.parse(name)
            except ValueError:
                mac = None
            if mac is None:
                raise
        host = self._hosts().by_mac(mac)
        return host.name if host is not None else mac

    def _status(self, install: Install) -> host_status.InstallStatus:
        """Return why the arming of an install will end at a reload or at the next script."""
        host = self._hosts().get(install.host)
        is_removed = host is None and self._are_complete
        changes = install.arming_changes(InstallTarget.of(host, None) if host else None) if host or is_removed else ()
        return host_status.InstallStatus(install, changes, is_declared=not is_removed)

    async def _report(
        self, install: Install, events: Sequence[Event], history: Sequence[Move], *, machines: Sequence[Machine]
    ) -> host_status.InstallReport:
        host = self._hosts().get(install.host)
        deadlines = await self._deadlines([host] if host is not None else [])
        durations, now = await self._boot_waits.expected(), self._now()
        situation = host_status.situation_of(
            install,
            events,
            history,
            machines=machines,
            durations=durations,
            unserved=self._daemon.unserved() if self._daemon else (),
            shortage=self._daemon.shortage() if self._daemon else None,
            now=now,
        )
        next_boot = requested_boot(await self._inspections.of(host.macs)) if host is not None else None
        status = self._status(install)
        if not status.is_declared:
            situation = replace(situation, wait=None)
        wait = WaitStatus.of(situation.wait, now)
        ends = deadlines.get(install.host, ())
        return host_status.InstallReport(
            status, cause_of(situation), ends, next_boot, wait, host_status.local_boots_of(machines)
        )

    async def _deadlines(self, hosts: Sequence[Host]) -> Mapping[HostName, Sequence[Deadline]]:
        return await asyncio.to_thread(deadlines_of, hosts)
