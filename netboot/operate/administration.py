"""What an operator may read and do: hosts, installs, machines, events; as plain dictionaries, ready for JSON.

The daemon's API and the commands that run without a daemon both go through here. Never shows a token.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from netboot.boot.install_moves import InstallMoves
from netboot.errors import NetbootError
from netboot.events.event_log import EventLog
from netboot.model.boot.machine import Machine
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.install.event import Event
from netboot.model.install.install import Install, InstallTarget, Move
from netboot.model.words import without_disks
from netboot.operate import host_status
from netboot.operate.arming import ArmingRefusedError, arming_refusals, cancel_notes
from netboot.operate.content_uses import ContentUse, content_uses
from netboot.store.machines import Machines

if TYPE_CHECKING:
    from netboot.operate.readiness import Readiness

View = Mapping[str, Any]


class UnknownHostError(NetbootError):
    """A name that no file declares."""


class Administration:
    """The operator's functions."""

    def __init__(self, install_moves: InstallMoves, events: EventLog, *, machines: Machines, attempts: int) -> None:
        self._install_moves = install_moves
        self._events = events
        self._machines = machines
        self._attempts = attempts

    def use(
        self,
        hosts: HostSet,
        readiness: "Callable[[], Readiness]",
        *,
        warnings: "Callable[[], Sequence[str]]",
        are_complete: bool = True,
    ) -> None:
        """Answer from these hosts from now on.

        When a host is armed, `readiness` is built, and `warnings` says what keeps this server from answering machines.
        `are_complete`: the files declare no other host.
        """
        self._hosts, self._readiness, self._warnings, self._are_complete = hosts, readiness, warnings, are_complete

    async def hosts(self) -> list[View]:
        """List every host with its install."""
        installs = await self._install_moves.all()
        return [host_view(host, self._view(installs.get(host.name) or Install(host.name))) for host in self._hosts]

    async def machines(self) -> list[View]:
        """List the stored machines that requested a boot and are not registered."""
        recorded = (await self._machines.all()).values()
        return [machine_view(found) for found in recorded if found.arch and self._hosts.by_mac(found.mac) is None]

    async def host(self, name: str) -> View:
        """Show one host; raise UnknownHostError."""
        host = self._host(name)
        install = await self._install_moves.read(host.name)
        events, history = await self._progress(host.name)
        seen = await self._machines.last_seen(host.macs)
        shown = host_view(host, self._view(install))
        progress = host_status.view(install, events, history)
        return {
            **shown,
            "install": {**shown["install"], **progress},
            **progress,
            **host_status.heard_view(events, history, seen),
        }

    async def arm_all(
        self,
        names: Sequence[str],
        *,
        reason: str = "",
        attempts: int | None = None,
        force: bool = False,
        actor: str | None = None,
    ) -> list[View]:
        """Allow one install of each host, of all of them or of none, and say what will happen.

        Raises ArmingRefusedError with every reason of every host; `force` overrides those for which a host could not
        be installed now, and not those that an install gives that runs.
        """
        hosts = list({name: self._host(name) for name in names}.values())
        readiness = self._readiness()
        recorded = await self._machines.all()
        unready = {
            host.name: await readiness.reasons(host, machines=[recorded[mac] for mac in host.macs if mac in recorded])
            for host in hosts
        }
        before = {host.name: await self._install_moves.read(host.name) for host in hosts}
        refusals = arming_refusals(before, {} if force else unready)
        if refusals:
            raise ArmingRefusedError(refusals, is_forcible=not force and not arming_refusals(before, {}))
        armed = await self._install_moves.arm_all(
            list(before), reason=reason or "no reason given", attempts=attempts or self._attempts, actor=actor
        )
        found = {install.host: install for install in armed}
        cluster, server = self._hosts.cluster, self._warnings()
        return [
            {
                **self._view(found[host.name]),
                "boot_media": host.boot_media,
                "reasons": unready[host.name],
                "warnings": list(dict.fromkeys([*readiness.warnings(host, before[host.name], cluster), *server])),
            }
            for host in hosts
        ]

    async def cancel(self, name: str, *, reason: str = "", actor: str | None = None) -> View:
        """Take a host's arming back, also that of a host that no file declares any more; say what goes on."""
        change = await self._install_moves.cancel(await self._known(name), reason=reason, actor=actor)
        return {**self._view(change.after), "notes": cancel_notes(change.before)}

    async def install(self, name: str) -> View:
        """Show a host's install, also that of a host that no file declares any more."""
        install = await self._install_moves.read(await self._known(name))
        return {**self._view(install), **host_status.view(install, *await self._progress(install.host))}

    async def installs(self) -> list[View]:
        """List every install on record, also those of hosts that no file declares any more."""
        return [self._view(install) for _, install in sorted((await self._install_moves.all()).items())]

    async def history(self, name: str) -> list[View]:
        """Return every move of a host, oldest first."""
        return [move_view(move) for move in await self._install_moves.history(await self._known(name))]

    async def content_uses(self, *, pulls: Iterable[str] = (), now: datetime) -> list[ContentUse]:
        """List who uses which boot medium and release; `pulls` are the releases that machines pull now."""
        return content_uses(self._hosts, await self._install_moves.all(), pulls=pulls, now=now)

    async def last_event_id(self) -> int:
        """Give the id of the newest event."""
        return await self._events.last_id()

    async def events(self, *, after: int = 0, host: str | None = None, follow: bool = True) -> AsyncIterator[View]:
        """Give the events after an id; then those to come, where `follow`."""
        if follow:
            async for view in self.followed_events(after=after, host=host):
                if view is not None:
                    yield view
        else:
            name = await self._known(host) if host else None
            for event in await self._events.after(after, host=name, limit=100_000):
                yield event_view(event)

    async def followed_events(self, *, after: int = 0, host: str | None = None) -> AsyncGenerator[View | None, None]:
        """Give the events after an id and those to come, until the daemon stops; None where none came for a second."""
        async for event in self._events.follow(after, host=await self._known(host) if host else None):
            yield event_view(event) if event is not None else None

    async def check_host(self, name: str) -> None:
        """Raise UnknownHostError where no file declares the host and no install of it is on record."""
        await self._known(name)

    async def _progress(self, host: HostName) -> tuple[list[Event], list[Move]]:
        """Read what says why a host does not proceed: its newest events and its history."""
        events = await self._events.newest(host, limit=host_status.NEWEST_EVENTS)
        return events, await self._install_moves.history(host)

    def _host(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            known = ", ".join(sorted(self._hosts.hosts)[:20]) or "none"
            raise UnknownHostError(f"no host is called {name}; the registry has: {known}")
        return host

    async def _known(self, name: str) -> HostName:
        """Find a host that the files declare, or one that has an install on record."""
        if self._hosts.get(name) is None and HostName(name) not in await self._install_moves.all():
            self._host(name)
        return HostName(name)

    def _view(self, install: Install) -> View:
        """Show an install with why its arming is about to end: what a reload or the next script will find."""
        host = self._hosts.get(install.host)
        is_removed = host is None and self._are_complete
        changes = install.arming_changes(InstallTarget.of(host, None) if host else None) if host or is_removed else ()
        return {**install_view(install, changes), "declared": not is_removed}


def host_view(host: Host, install: View) -> View:
    """Show a host as the API and `--json` do."""
    network = host.network
    return {
        "name": host.name,
        "role": host.role.value,
        "macs": list(host.macs),
        "boot_media": host.boot_media,
        "release": host.release,
        "disk": host.disk,
        "timezone": host.timezone,
        "ntp": list(host.ntp),
        "kernel_arguments": list(host.kernel_arguments),
        "network": network
        and {
            "address": str(network.address),
            "gateway": network.gateway and str(network.gateway),
            "nameservers": [str(server) for server in network.nameservers],
            "interface": network.interface,
        },
        "ssh_keys": list(host.ssh_keys),
        "ignition": host.ignition and str(host.ignition),
        "loader": host.loader,
        "firmware": host.firmware and host.firmware.value,
        "rom_ipxe": host.rom_ipxe.value,
        "declared_at": host.declared_at,
        "install": install,
    }


def install_view(install: Install, changes: Sequence[str] = ()) -> View:
    """Show an install without its tokens. `changes`: why its arming no longer fits its host."""
    arming, target = install.arming, install.target
    return {
        "host": install.host,
        "state": install.state.value,
        "changed_at": install.changed_at and install.changed_at.isoformat(),
        "armed": install.is_armed,
        "arming": arming
        and {
            "at": arming.at.isoformat(),
            "reason": arming.reason,
            "attempts": arming.attempts,
            "spent": arming.spent,
            "left": max(arming.attempts - arming.spent, 0),
            "macs": sorted(target.macs) if target else [],
            "disk": target and target.disk,
            "release": target and target.release,
            "commit": target and target.commit,
            "changes": list(changes),
        },
    }


def content_use_view(use: ContentUse) -> View:
    """Show who uses a boot medium or release."""
    return {"kind": use.kind, "name": use.name, "use": use.use.value, "host": use.host or None}


def move_view(move: Move) -> View:
    """Show one line of a host's history; the list of disks that a report ended with stays apart."""
    note, disks = without_disks(move.note)
    return {
        "at": move.at.isoformat(),
        "what": move.what,
        "from": move.before.value,
        "to": move.after.value,
        "reason": host_status.reason_of(move),
        "note": note,
        "disks": disks.splitlines(),
    }


def event_view(event: Event) -> View:
    """Show an event."""
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "event": event.name,
        "host": event.host,
        "mac": event.mac,
        "step": event.step.value if event.step else None,
        "data": dict(event.data),
    }


def machine_view(machine: Machine) -> View:
    """Show a machine that the wire showed."""
    view = asdict(machine)
    view["first_seen"], view["last_seen"] = machine.first_seen.isoformat(), machine.last_seen.isoformat()
    view["addresses"] = [str(address) for address in machine.addresses]
    return view
