"""Finds the machine and its running boot to which a line or a packet belongs. Synchronous, from memory.

The machine is that which has the source address now, or whose network card sent the packet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from typing import NamedTuple

from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.boot_records.record_files import Owner
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName
from netboot.model.host.host_secrets import secret_values
from netboot.model.host.mac import Mac


class RecordedMachine(NamedTuple):
    """Whose records they are, and its network cards; `host`: its name if it is or was declared.

    `mac` is the card that sent a packet; None if only its host is known. `declared` is the host's declaration.
    """

    owner: Owner
    macs: Sequence[Mac]
    host: HostName | None
    mac: Mac | None = None
    declared: Host | None = None

    @property
    def secrets(self) -> Sequence[str]:
        """Return the secrets of the host's declaration; read for what is stored only, not for each packet."""
        return secret_values(self.declared) if self.declared is not None else ()


def machine_of_host(host: Host | HostName, mac: Mac | None = None) -> RecordedMachine:
    """Return the machine of a host, also of one that no file declares any longer."""
    if isinstance(host, Host):
        return RecordedMachine(host.name, host.macs, host.name, mac, host)
    return RecordedMachine(host, (), host)


@dataclass(frozen=True, slots=True, eq=False)
class RunningBoots:
    """The machines that boot from us, and when the running boot of each began."""

    seen: SeenMachines
    identification: Identification
    clock: Clock

    def machine_at(self, address: IPv4Address) -> RecordedMachine | None:
        """Find the machine that has an address now."""
        mac, host = self.identification.machine_at(address)
        if host is not None:
            return machine_of_host(host, mac)
        return RecordedMachine(mac, (mac,), None, mac) if mac is not None else None

    def machine_of(self, mac: Mac) -> RecordedMachine:
        """Return the machine that has a network card."""
        host = self.identification.hosts().by_mac(mac)
        return machine_of_host(host, mac) if host is not None else RecordedMachine(mac, (mac,), None, mac)

    def began_at(self, machine: RecordedMachine, now_s: float) -> datetime | None:
        """Return when the running boot of a machine began; None if it requested no boot since the start."""
        cards = [seen.boot for mac in machine.macs if (seen := self.seen.get(mac)) is not None]
        boot = max(cards, key=lambda boot: boot.trace.began_s, default=None)
        if boot is None or not boot.trace.began_s:
            return None
        if boot.began_at is None:
            boot.began_at = self.clock.now() - timedelta(seconds=now_s - boot.trace.began_s)
        return boot.began_at
