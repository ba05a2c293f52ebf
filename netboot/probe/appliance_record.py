"""What an appliance has of a simulated machine, read by its API: host, arming, plan, and the record of its boots.

Changes nothing on the appliance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Final

from netboot.client import ControlClient
from netboot.control_socket import RefusedError
from netboot.errors import UnknownHostError
from netboot.model.host.mac import Mac
from netboot.probe.scope.simulation_scope import MachineStanding

View = Mapping[str, Any]

DISTURBED_FOR: Final = timedelta(minutes=10)  # after its last sign, a boot is taken as one that runs
EVENTS_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What the server recorded of a machine since a mark: its boots, oldest first, and its events."""

    boots: Sequence[View] = ()
    events: Sequence[View] = ()


@dataclass(frozen=True, slots=True)
class RecordMark:
    """What was recorded before a simulation."""

    last_event: int
    boots: Mapping[str, Sequence[str]] = field(default_factory=dict)  # steps of each boot, by when it began


@dataclass(frozen=True, slots=True)
class ApplianceRecord:
    """Reads by the API what concerns one machine."""

    client: ControlClient
    mac: Mac

    async def known(self) -> MachineStanding:
        """Return what the appliance has of this MAC now."""
        host = await self._host()
        if host is not None:
            arming = host["install"]["arming"] if host["install"]["armed"] else None
            once = host["next_boot"]
            return MachineStanding(
                host["name"],
                is_armed=host["install"]["armed"],
                boots_left=arming["left"] if arming else 0,
                boots_once=once["kind"] if once else "",
                boots_now=await self._running_step(host["name"]),
            )
        machine = next((each for each in await self.client.machines() if each["mac"] == self.mac), None)
        once = (machine or {}).get("inspection") or {}
        requested = once.get("kind", "") if once.get("requested_at") else ""
        is_seen = machine is not None
        return MachineStanding(is_seen=is_seen, boots_once=requested, boots_now=await self._running_step())

    async def host_at(self, address: IPv4Address) -> str | None:
        """Return the host to which the appliance attributes what an address requests; None if to none.

        Of other hosts than this machine's, only the address in their files is compared.
        """
        for host in await self.client.hosts():
            registered = host["network"]["address"]
            if registered and IPv4Interface(registered).ip == address:
                return str(host["name"])
            if self.mac in host["macs"]:
                shown = await self.client.host(host["name"])
                if any(str(address) in machine["addresses"] for machine in shown["machines"]):
                    return str(host["name"])
        return None

    async def plan(self, host: str) -> View:
        return await self.client.plan(host)

    async def mark(self) -> RecordMark:
        """Note what is recorded now."""
        boots = {boot["began_at"]: [step["step"] for step in boot["steps"]] for boot in await self._boots()}
        return RecordMark(await self.client.last_event_id(), boots)

    async def since(self, mark: RecordMark) -> ServerRecord:
        """Return what was recorded since a mark: boots that began since, or that have more steps."""
        boots = [
            boot
            for boot in await self._boots()
            if mark.boots.get(boot["began_at"]) != [step["step"] for step in boot["steps"]]
        ]
        events = await self.client.activity(self.mac, limit=EVENTS_SHOWN)
        return ServerRecord(boots, [event for event in reversed(events) if event["id"] > mark.last_event])

    async def _host(self) -> View | None:
        return next((host for host in await self.client.hosts() if self.mac in host["macs"]), None)

    async def _boots(self) -> Sequence[View]:
        host = await self._host()
        try:
            return await self.client.boots.all(host["name"] if host is not None else self.mac)
        except RefusedError as error:
            if error.view.get("code") != UnknownHostError.code:
                raise
            return ()  # it was not seen yet

    async def _running_step(self, host: str | None = None) -> str:
        """Return the step that a boot of this machine, or of its host, reached in the last minutes; else empty."""
        now = datetime.now(UTC)
        for boot in await self.client.boots.running():
            is_same = boot["mac"] == self.mac or (host is not None and boot["host"] == host)
            if is_same and boot["end"] is None:
                is_recent = now - datetime.fromisoformat(boot["last_at"]) <= DISTURBED_FOR
                return boot["steps"][-1]["step"] if is_recent and boot["steps"] else ""
        return ""
