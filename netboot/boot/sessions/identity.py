"""Finds the machine that sent a request: compares its address with the registry and with addresses in packets.

A registered address belongs to its host, whichever machine uses it. Changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.model.host.host import Host, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.install import InstallTarget


@dataclass(frozen=True, slots=True)
class Identification:
    seen: SeenMachines
    hosts: Callable[[], HostSet]

    def is_at(self, owner: Host | InstallTarget, address: IPv4Address) -> bool:
        """Return whether an address is the owner's: registered, or seen in a packet of one of its network cards.

        A target is the machine as it was armed, also if the hosts files have changed.
        """
        if address in owner.addresses:
            return True
        seen = self.seen.by_address(address)
        return seen is not None and seen.mac in owner.macs

    def is_own(self, mac: Mac, host: Host | None, address: IPv4Address) -> bool:
        """Return whether a request for this MAC's script is its own. Only such a request may change state."""
        if host is not None:
            return self.is_at(host, address)
        seen = self.seen.by_address(address)
        return seen is not None and seen.mac == mac and self.hosts().by_address(address) is None

    def machine_at(self, address: IPv4Address) -> tuple[Mac | None, Host | None]:
        """Find the machine at an address, and its host where it is registered."""
        seen, hosts = self.seen.by_address(address), self.hosts()
        host = hosts.by_mac(seen.mac) if seen is not None else None
        owner = hosts.by_address(address)
        if host is None and owner is not None:
            return self._last_announced(owner), owner
        return (seen.mac if seen is not None else None), host

    def _last_announced(self, host: Host) -> Mac:
        """Return the card of a host that requested a boot last."""
        announced = {mac: seen.announced_s for mac in host.macs if (seen := self.seen.get(mac)) and seen.announced_s}
        return max(announced, key=announced.__getitem__, default=host.mac)
