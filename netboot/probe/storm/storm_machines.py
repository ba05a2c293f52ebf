"""The machines of a storm: a MAC, a UUID and, without a DHCP server, an address for each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Final
from uuid import NAMESPACE_OID, UUID, uuid5

from netboot.errors import NetbootError
from netboot.model.host.mac import Mac

MOST_HOSTS: Final = 2000
_FIRST_MAC: Final = 0x026E62F00001  # locally administered; no network card and no other simulation has them


class StormRefusedError(NetbootError):
    """A storm that cannot be played."""


@dataclass(frozen=True, slots=True)
class StormMachine:
    """One machine; `number` counts from 1. `address` is None if it gets a lease."""

    number: int
    mac: Mac
    uuid: UUID
    address: IPv4Interface | None

    @property
    def name(self) -> str:
        """Return the name of its host in the hosts file."""
        return f"storm-{self.number:04}"


def storm_machines(hosts: int, first_address: IPv4Interface | None) -> Sequence[StormMachine]:
    """Return so many machines, always the same; raise StormRefusedError if their network has too few addresses."""
    if first_address is not None:
        _verify_addresses(hosts, first_address)
    return [_machine(number, first_address) for number in range(1, hosts + 1)]


def _verify_addresses(hosts: int, first: IPv4Interface) -> None:
    last = IPv4Address(int(first.ip) + hosts - 1) if int(first.ip) + hosts <= 1 << 32 else None
    if last is None or last not in first.network or last == first.network.broadcast_address:
        raise StormRefusedError(
            f"{hosts} machines need {hosts} addresses from {first.ip} on, and {first.network} has not so many; "
            "begin lower, or use a larger network for the test"
        )


def _machine(number: int, first: IPv4Interface | None) -> StormMachine:
    mac = Mac.parse((_FIRST_MAC + number - 1).to_bytes(6, "big").hex(":"))
    address = None if first is None else IPv4Interface(f"{first.ip + number - 1}/{first.network.prefixlen}")
    return StormMachine(number, mac, uuid5(NAMESPACE_OID, f"netboot simulate {mac}"), address)


def hosts_file(machines: Sequence[StormMachine]) -> str:
    """Write a hosts file that registers the machines, for the directory hosts.d of the appliance.

    Without a DHCP server no packet shows whose an address is, so the file has the addresses.
    """
    lines = [
        f"  {each.name}: {{role: worker, mac: '{each.mac}'"
        + (f", network: {{address: {each.address}}}}}" if each.address else "}")
        for each in machines
    ]
    return "\n".join(["# Machines of `netboot simulate --hosts`: none of them exists.", "hosts:", *lines, ""])
