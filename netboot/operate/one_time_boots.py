"""What an operator lets a machine boot once: an inspection, a host's rescue, the wipe of a host that is retired.

A request is stored, and spent by the script that the machine gets. Changes no host and no install.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.errors import InspectionRefusedError, RescueRefusedError, UnknownHostError, WipeRefusedError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.boot.boot_client import Machine
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import OneTimeBoot, RequestedBoot, requested_boot
from netboot.model.install.install import Install
from netboot.model.install.wipe import Wipe, WipeState
from netboot.operate.audit import audited
from netboot.operate.content_uses import is_running

if TYPE_CHECKING:
    from netboot.operate.readiness import Readiness  # slow to load


@dataclass(frozen=True, slots=True)
class RescueRequest:
    """Hosts that boot the rescue mode once, all or none. Without `medium`: each host's own, else the inspections'."""

    hosts: Sequence[str]
    medium: str | None = None


@dataclass(frozen=True, slots=True)
class RequestedMachine:
    """The machine that boots once at its next network boot: a host's name or a MAC, its cards, and the boot medium."""

    machine: str
    macs: Sequence[Mac]
    medium: str


@dataclass(frozen=True, slots=True)
class WithdrawnRequest:
    """A machine without a request, and what was done or cannot be undone."""

    machine: str
    note: str


@dataclass(frozen=True, slots=True)
class PreparedWipe:
    """A wipe that can be requested as soon as its host is removed."""

    wipe: Wipe
    medium: str


@dataclass(frozen=True, slots=True)
class OneTimeBoots:
    """The use cases. Methods raise StoreError."""

    inspections: InspectionRecords
    install_moves: InstallMoves
    events: EventBus
    hosts: Callable[[], HostSet]  # in force
    discovered: Callable[[], Awaitable[Sequence[Machine]]]
    readiness: "Callable[[], Readiness]"
    user: Actor  # of this process: the actor of a change that names none
    now: Callable[[], datetime]

    async def inspect(self, name: str, *, actor: Actor | None = None) -> RequestedMachine:
        """Let a host, or the unregistered machine with this MAC, be inspected at its next boot.

        Raises UnknownHostError, or InspectionRefusedError with every reason.
        """
        with audited(self.events, "inspect", actor or self.user, subject=name):
            host, macs = await self._inspectable(name)
            machine = host.name if host else name
            request = requested_boot(await self.inspections.of(macs))
            if host is None:
                medium, reasons = await self.judge_machine_inspection(name, request)
            else:
                medium, reasons = await self.judge_inspection(host, await self.install_moves.read(host.name), request)
            if reasons or medium is None:
                raise InspectionRefusedError("\n".join(f"cannot inspect {name}: {reason}" for reason in reasons))
            await self.inspections.request(macs)
        return RequestedMachine(machine, macs, medium)

    async def judge_inspection(
        self, host: Host, install: Install, request: RequestedBoot | None
    ) -> tuple[str | None, list[str]]:
        """Return the medium that inspects a host, and why it cannot be inspected; `request`: what it boots once."""
        medium, reasons = await self.readiness().inspection(host)
        if install.is_armed:
            cure = f"netboot install cancel {host.name} first"
            reasons = [*reasons, f"{host.name} is armed, and an armed host is installed at its next boot; {cure}"]
        return medium, [*reasons, *_more_urgent(host.name, request)]

    async def judge_machine_inspection(self, name: str, request: RequestedBoot | None) -> tuple[str | None, list[str]]:
        """Return the medium that inspects an unregistered machine, and why it cannot be inspected."""
        medium, reasons = await self.readiness().inspection(None)
        return medium, [*reasons, *_more_urgent(name, request)]

    async def rescue(self, request: RescueRequest, *, actor: Actor | None = None) -> list[RequestedMachine]:
        """Let each host boot the rescue mode at its next boot, all of them or none.

        Raises UnknownHostError, or RescueRefusedError with every reason of every host.
        """
        names = list(dict.fromkeys(request.hosts))
        with audited(self.events, "rescue", actor or self.user, subject=", ".join(names)):
            hosts = [self.hosts().named(name) for name in names]
            installs = {host.name: await self.install_moves.read(host.name) for host in hosts}
            media = [(host, *(await self.judge_rescue(host, installs[host.name], request.medium))) for host in hosts]
            refused = [f"cannot rescue {host.name}: {why}" for host, _, reasons in media for why in reasons]
            if refused:
                raise RescueRefusedError("\n".join([*refused, "no rescue was requested"]))
            found = [RequestedMachine(host.name, host.macs, medium) for host, medium, _ in media if medium]
            for each in found:
                await self.inspections.request_rescue(each.macs, each.medium)
        return found

    async def cancel_rescue(self, names: Sequence[str], *, actor: Actor | None = None) -> list[WithdrawnRequest]:
        """End the requests for a rescue of these hosts."""
        with audited(self.events, "cancel rescue", actor or self.user, subject=", ".join(names)):
            hosts = [self.hosts().named(name) for name in dict.fromkeys(names)]
            done = {host.name: await self.inspections.withdraw(host.macs, OneTimeBoot.RESCUE) for host in hosts}
        return [
            WithdrawnRequest(name, f"{name} boots no rescue" if is_ended else no_rescue(name))
            for name, is_ended in done.items()
        ]

    async def prepare_wipe(self, name: HostName) -> PreparedWipe:
        """Verify that the disk of a host can be wiped after its removal; raise WipeRefusedError with every reason."""
        host = self.hosts().named(name)
        medium, reasons = await self.judge_wipe(host)
        if reasons or medium is None or host.disk is None:
            refused = [f"cannot wipe the disk of {name}: {reason}" for reason in reasons]
            raise WipeRefusedError("\n".join([*refused, "nothing was changed"]))
        return PreparedWipe(Wipe(name, host.macs, host.disk, WipeState.REQUESTED, self.now()), medium)

    async def judge_wipe(self, host: Host) -> tuple[str | None, list[str]]:
        """Return the medium that wipes the disk of a host after its removal, and why it cannot be wiped."""
        medium, reasons = await self.readiness().inspection(host)
        if host.disk is None:
            reasons = [*reasons, f"no disk is named for it; set hosts.{host.name}.disk"]
        elif isinstance(host.disk, str) and not host.disk.startswith("/dev/disk/"):
            cure = f"set hosts.{host.name}.disk to its path below /dev/disk, or to a rule"
            reasons = [*reasons, f"{host.disk} may be another disk when the machine boots next; {cure}"]
        return medium, reasons

    async def request_wipe(self, prepared: PreparedWipe) -> None:
        """Let the machine of a host that was removed wipe its disk at its next boot."""
        await self.inspections.request_wipe(prepared.wipe, prepared.medium)

    async def cancel_wipe(self, name: str, *, actor: Actor | None = None) -> WithdrawnRequest:
        """End the wipe of a retired host, by its name or a MAC; raise UnknownHostError if none is open."""
        with audited(self.events, "cancel wipe", actor or self.user, subject=name):
            mac = _mac_or_none(name)
            ended = await self.inspections.cancel_wipes(
                "an operator cancelled it", which=lambda wipe: wipe.host == name or mac in wipe.macs
            )
            if not ended:
                raise UnknownHostError(f"no wipe of {name} is open; netboot host list --discovered shows wipes")
        return WithdrawnRequest(name, f"the wipe of {ended[0].host} is cancelled: {ended[0].note}")

    async def judge_rescue(
        self, host: Host, install: Install, wanted: str | None = None
    ) -> tuple[str | None, list[str]]:
        """Return the medium whose rescue mode a host boots, `wanted` if it is given, and why it cannot now."""
        medium, reasons = await self.readiness().rescue(host, wanted)
        if install.is_armed:
            reasons.append(f"it is armed, and a rescued disk must not be wiped; netboot install cancel {host.name}")
        elif is_running(install, self.now()):
            reasons.append(f"it is {install.state}: its installer may be writing the disk; let it end")
        return medium, reasons

    async def _inspectable(self, name: str) -> tuple[Host | None, Sequence[Mac]]:
        """Find a host by its name or a MAC, or an unregistered machine by its MAC, and return its cards."""
        mac = _mac_or_none(name)
        if mac is None:
            host = self.hosts().named(name)
            return host, host.macs
        registered = self.hosts().by_mac(mac)
        if registered is not None:
            return registered, registered.macs
        if all(machine.mac != mac for machine in await self.discovered()):
            raise UnknownHostError(f"no machine with MAC {mac} requested a boot; netboot host list --discovered")
        return None, (mac,)


def no_rescue(name: str) -> str:
    """Return the sentence for a host of which no rescue is requested."""
    return f"no rescue of {name} was requested"


def _mac_or_none(name: str) -> Mac | None:
    try:
        return Mac.parse(name)
    except ValueError:
        return None


def _more_urgent(machine: str, request: RequestedBoot | None) -> list[str]:
    """Return why an inspection must not replace what is requested for the machine; empty: it may."""
    match request:
        case RequestedBoot(kind=OneTimeBoot.WIPE):
            return [f"its wipe is requested; netboot host retire {machine} --cancel-wipe first"]
        case RequestedBoot(kind=OneTimeBoot.RESCUE):
            return [f"its rescue is requested; netboot host rescue {machine} --cancel first"]
        case _:
            return []
