"""Adds, changes, approves, removes and retires hosts by the files that commands write; each change is audited.

The same with and without a daemon: the file is written by the process that runs this, then the daemon of this process
reads its files again. `app` passes the writer of the files, which this package must not import.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.errors import ConfigError, StoreError, TransitionError, WipeRefusedError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.boot.boot_client import Machine
from netboot.model.host.host import Host, HostFileChange, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install
from netboot.model.words import one_line
from netboot.operate.arming import cancel_notes
from netboot.operate.audit import audited
from netboot.operate.content_uses import is_running
from netboot.operate.one_time_boots import OneTimeBoots, PreparedWipe
from netboot.operate.registration.approval import ApprovalRequest, ApprovedMachine, approved_machines, host_values
from netboot.operate.registration.inspected_machines import compare_disks, with_inspections
from netboot.operate.running_daemon import ReloadResult, RunningDaemon
from netboot.store.allocations import Allocations
from netboot.store.machines import Machines
from netboot.yamlfile.plain_values import PlainValue

Values = Mapping[str, PlainValue]
Changed = TypeVar("Changed")
NOT_IN_FORCE = "not in force: the daemon keeps the accepted hosts because of faults that were there before"
NOT_READ = "not in force: the daemon could not read its files again; netboot reload"


class HostFiles(Protocol):
    """The files in which commands declare hosts. Blocks; raises ConfigError and HostFileError, and changes nothing."""

    def names(self) -> frozenset[str]: ...  # every name that the files declare now

    def add(self, hosts: Mapping[str, Values], *, is_rehearsal: bool = False) -> list[HostFileChange]: ...

    def edit(self, name: str, patch: Values) -> HostFileChange: ...  # RFC 7396

    def remove(self, name: str, *, is_rehearsal: bool = False) -> HostFileChange: ...

    def removal_refusals(self, hosts: Sequence[Host]) -> Mapping[HostName, str]: ...  # why `remove` refuses them


@dataclass(frozen=True, slots=True)
class HostValues:
    """A host with its values, or with the patch of its values, as its file has them."""

    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """A host to remove or retire. `force`: also while its install runs. `wipe`: its name again, to wipe its disk."""

    name: str
    reason: str = ""
    force: bool = False
    wipe: str = ""


@dataclass(frozen=True, slots=True)
class HostsChanged:
    """The files that were written or deleted, or with `is_rehearsal` would be.

    `reload` is None without a daemon, and if the daemon keeps its files: `notes` has the reason.
    """

    hosts: Sequence[HostFileChange]
    reload: ReloadResult | None = None
    notes: Sequence[str] = ()
    machines: Sequence[ApprovedMachine] = ()
    is_rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class HostChanges:
    """The use cases. Methods raise ConfigError with new faults, HostFileError, HostsNotWritableError and StoreError."""

    files: HostFiles
    install_moves: InstallMoves
    events: EventBus
    one_time_boots: OneTimeBoots
    machines: Machines
    allocations: Allocations
    inspections: InspectionRecords
    discovered: Callable[[], Awaitable[Sequence[Machine]]]
    daemon: RunningDaemon | None
    user: Actor  # of this process: the actor of a change that names none
    now: Callable[[], datetime]
    # One change of the files at a time: others wait without a thread, and two approvals do not take one name.
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def add(self, host: HostValues, *, actor: Actor | None = None) -> HostsChanged:
        """Declare a new host."""
        with audited(self.events, "add host", actor or self.user, subject=host.name):
            changes = await self._in_turn(partial(self.files.add, {host.name: host.values}))
            return await self._in_force(changes)

    async def edit(self, host: HostValues, *, actor: Actor | None = None) -> HostsChanged:
        """Change keys of a host by a JSON merge patch (RFC 7396)."""
        with audited(self.events, "set host", actor or self.user, subject=host.name):
            change = await self._in_turn(partial(self.files.edit, host.name, host.values))
            return await self._in_force([change])

    async def approve(self, request: ApprovalRequest, *, actor: Actor | None = None) -> HostsChanged:
        """Declare unregistered machines as hosts, all or none; with `dry_run` only show what would be written."""
        by = actor or self.user
        if request.dry_run:
            return await self._approve(request, by)
        with audited(self.events, "approve machines", by, subject=", ".join(request.macs)):
            return await self._approve(request, by)

    async def remove(self, request: RemovalRequest, *, actor: Actor | None = None) -> HostsChanged:
        """Cancel the arming of a host and delete its file; refuse it while an install runs."""
        by, reason = actor or self.user, one_line(request.reason) or "the host was removed"
        with audited(self.events, "remove host", by, subject=request.name):
            host = await self._removable(request)
            install = await self.install_moves.read(host)
            notes = cancel_notes(install) if install.is_armed else []
            if install.is_armed:
                await self.install_moves.cancel(host, reason=reason, actor=by)
            await self.install_moves.forget_node(host)
            return await self._removed(host, notes)

    async def retire(self, request: RemovalRequest, *, actor: Actor | None = None) -> HostsChanged:
        """Remove a host as `remove` does, and make its tokens invalid.

        Its disk is not changed, or with `request.wipe` by its machine's next boot. Raises WipeRefusedError.
        """
        by, reason = actor or self.user, one_line(request.reason) or "the host was retired"
        with audited(self.events, "retire and wipe host" if request.wipe else "retire host", by, subject=request.name):
            host = await self._removable(request)
            wipe = await self._prepared_wipe(host, request.wipe) if request.wipe else None
            before = (await self.install_moves.retire(host, reason=reason, actor=by)).before
            notes = cancel_notes(before) if before.is_armed else []
            changed = await self._removed(host, notes)
            return replace(changed, notes=[*changed.notes, await self._retired(host, changed, wipe)])

    async def _prepared_wipe(self, host: HostName, confirmed: str) -> PreparedWipe:
        if confirmed != host:
            raise WipeRefusedError(
                f"cannot wipe the disk of {host}: {confirmed!r} is not its name; nothing was changed"
            )
        return await self.one_time_boots.prepare_wipe(host)

    async def _retired(self, host: HostName, changed: HostsChanged, wipe: PreparedWipe | None) -> str:
        """Request the wipe of a retired host's disk, unless the daemon still serves the host; return what happens."""
        if wipe is None:
            return f"{host} is retired; its disk was not wiped"
        if self.daemon is not None and changed.reload is None:
            return f"no wipe is requested, because {host} is still served: correct that, add it and retire it again"
        try:
            await self.one_time_boots.request_wipe(wipe)
        except StoreError as error:  # the host is removed, so the change is not refused
            return f"no wipe is requested: {error}; add {host} and retire it again"
        return (
            f"{host} is retired; the next network boot of its machine erases {wipe.wipe.disk}, with {wipe.medium}; "
            f"until then: netboot host retire {host} --cancel-wipe"
        )

    async def _approve(self, request: ApprovalRequest, by: Actor) -> HostsChanged:
        async with self._changing:
            machines = await self._named(request)
            values = host_values(request, machines)
            changes = await asyncio.to_thread(self.files.add, values, is_rehearsal=True)
            machines = compare_disks(machines, changes, is_given=request.disk is not None)
            if request.dry_run:
                return HostsChanged(changes, machines=machines, is_rehearsal=True)
            changes = await asyncio.to_thread(self.files.add, values)
        return await self._in_force(changes, await self._identified(machines, by), machines)

    async def _identified(self, machines: Sequence[ApprovedMachine], by: Actor) -> list[str]:
        """Record what the machines show of themselves, so that another one with the same MAC is noticed."""
        shown = {HostName(each.host): each.machine.identity for each in machines}
        try:
            await self.install_moves.identify(shown, actor=by)
        except StoreError as error:  # the files are written, so the change is not refused
            return [f"UUID and serial number are not recorded: {error}; the first install records them"]
        return []

    async def _named(self, request: ApprovalRequest) -> list[ApprovedMachine]:
        """Give each machine its name and cards."""
        installs = await self.install_moves.all()  # a name with a history is not given to another machine
        armed = (each.host for each in installs.values() if each.target or each.changed_at or each.arming)
        taken = {*await asyncio.to_thread(self.files.names), *armed}
        discovered = await self.discovered()
        known = {**await self.machines.all(), **{machine.mac: machine for machine in discovered}}.values()
        named = await asyncio.to_thread(approved_machines, request, discovered, known, taken=taken)
        machines = with_inspections(named, await self.inspections.all(), owner_of=self._owner_of)
        return [replace(each, macs=()) for each in machines] if request.boot_card_only else machines

    def _owner_of(self, mac: Mac) -> str | None:
        owner = self.install_moves.hosts().by_mac(mac)
        return owner.name if owner is not None else None

    async def _in_turn(self, change: Callable[[], Changed]) -> Changed:
        async with self._changing:
            return await asyncio.to_thread(change)

    async def _removable(self, request: RemovalRequest) -> HostName:
        """Verify that a host can be removed now; raise TransitionError while its install runs."""
        change = await self._in_turn(partial(self.files.remove, request.name, is_rehearsal=True))
        refusals = running_refusals(await self.install_moves.read(change.host), self.now())
        if refusals and not request.force:
            raise TransitionError(refusals[0])
        return change.host

    async def removal_refusals(self, hosts: Sequence[Host]) -> Mapping[HostName, str]:
        """Return why commands do not delete the files of these hosts, by the places of their declarations.

        Faults that other files would have without a host are found when it is removed.
        """
        return await asyncio.to_thread(self.files.removal_refusals, hosts)

    async def _removed(self, host: HostName, notes: Sequence[str]) -> HostsChanged:
        """Delete the file of a host, and release its addresses once the host is not in force."""
        change = await self._in_turn(partial(self.files.remove, host))
        changed = await self._in_force([change], notes)
        if self.daemon is not None and changed.reload is None:
            return changed
        return replace(changed, notes=[*await self._released(host), *changed.notes])

    async def _released(self, host: HostName) -> list[str]:
        """Release the addresses of a removed host; list what an operator needs to read about them."""
        try:
            addresses = ", ".join(map(str, await self.allocations.release(host)))
        except StoreError as error:  # the host is removed, so the change is not refused
            return [f"no other host can be given the addresses of {host} from pools: {error}"]
        cure = "power the machine off if it still has it"
        return [f"other hosts can now be given {addresses}; {cure}"] if addresses else []

    async def _in_force(
        self, changes: Sequence[HostFileChange], notes: Sequence[str] = (), machines: Sequence[ApprovedMachine] = ()
    ) -> HostsChanged:
        """Let the daemon read its files again, if this is its process."""
        if self.daemon is None:
            return HostsChanged(changes, notes=notes, machines=machines)
        try:
            reload = await self.daemon.reload()
        except ConfigError as error:
            faults = map(str, error.problems)
            return HostsChanged(changes, notes=[*notes, NOT_IN_FORCE, *faults], machines=machines)
        except StoreError as error:  # the files are written, so the change is not refused
            return HostsChanged(changes, notes=[*notes, NOT_READ, str(error)], machines=machines)
        return HostsChanged(changes, reload, notes, machines)


def running_refusals(install: Install, now: datetime) -> list[str]:
    """Return why a host is not removed while its install runs; empty: none runs. A removal can be forced."""
    if not is_running(install, now):
        return []
    return [
        f"{install.host} is {install.state}: its installer may be writing the disk; let it end, or remove the "
        "host anyway with --force"
    ]
