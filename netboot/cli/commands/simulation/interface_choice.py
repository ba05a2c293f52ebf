"""Chooses the interface of a simulation: the one that is named, else the only one with an IPv4 address."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import Final

import click
from pyroute2 import AsyncIPRoute

_OPTION: Final = "--interface"

Addresses = Mapping[str, Sequence[IPv4Interface]]


async def addresses_here() -> Addresses:
    """Read the IPv4 addresses of each interface by its name, loopback left out."""
    async with AsyncIPRoute() as netlink:
        names = {record["index"]: record.get_attr("IFLA_IFNAME") async for record in await netlink.get_links()}
        found: dict[str, list[IPv4Interface]] = {name: [] for name in names.values() if name != "lo"}
        async for record in await netlink.get_addr(family=2):  # AF_INET
            name, address = names.get(record["index"]), record.get_attr("IFA_LOCAL")
            if name in found and address and not IPv4Address(address).is_loopback:
                found[name].append(IPv4Interface(f"{address}/{record['prefixlen']}"))
        return found


def chosen_interface(wanted: str | None, addresses: Addresses) -> str:
    """Return the interface to use; raise BadParameter or UsageError with those that there are."""
    if wanted is not None:
        if wanted not in addresses:
            raise click.BadParameter(f"no interface {wanted}; there are: {_shown(addresses)}", param_hint=_OPTION)
        return wanted
    usable = [name for name, found in addresses.items() if found]
    if len(usable) == 1:
        return usable[0]
    problem = "several interfaces have an IPv4 address" if usable else "no interface has an IPv4 address"
    raise click.UsageError(f"{problem}; name the one on the boot LAN with {_OPTION}: {_shown(addresses)}")


def _shown(addresses: Addresses) -> str:
    shown = (f"{name} ({', '.join(map(str, found)) or 'no address'})" for name, found in addresses.items())
    return ", ".join(shown) or "none"
