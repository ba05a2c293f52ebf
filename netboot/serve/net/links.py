"""The interfaces of this appliance with their IPv4 addresses, read by one rtnetlink dump each."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface
from socket import AF_INET
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

from netboot.model.host.network import InterfaceAddress

_DUMP_ATTEMPTS: Final = 10  # the kernel reports that a change overtook a dump
_SCOPE_LINK: Final = 253  # 169.254/16 that nobody chose
_SECONDARY: Final = 0x01  # IFA_F_SECONDARY of <linux/if_addr.h>: a further address of a network that the card has
_UP: Final = 0x1  # IFF_UP of <linux/if.h>
_RUNNING: Final = 0x40  # IFF_RUNNING: it has a carrier


@dataclass(frozen=True, slots=True)
class Link:
    """One interface; `addresses` are in the kernel's order."""

    index: int
    addresses: tuple[InterfaceAddress, ...]
    mtu_bytes: int
    is_up: bool
    has_carrier: bool


async def read_links(netlink: Any) -> Mapping[str, Link]:
    """Read every interface by its name. `netlink` is an AsyncIPRoute."""
    for _ in range(_DUMP_ATTEMPTS):
        with suppress(NetlinkDumpInterrupted):
            return await _dump(netlink)
    return await _dump(netlink)


async def _dump(netlink: Any) -> Mapping[str, Link]:
    addresses: dict[int, list[InterfaceAddress]] = {}
    async for record in await netlink.get_addr(family=AF_INET):
        if record["scope"] != _SCOPE_LINK:
            # IFA_LOCAL is ours; IFA_ADDRESS is the peer's on a point-to-point link
            local = IPv4Interface((record.get_attr("IFA_LOCAL") or record.get_attr("IFA_ADDRESS"), record["prefixlen"]))
            found = addresses.setdefault(record["index"], [])
            found.append(InterfaceAddress(local, bool(record["flags"] & _SECONDARY)))
    return {
        record.get_attr("IFLA_IFNAME"): Link(
            record["index"],
            tuple(addresses.get(record["index"], ())),
            record.get_attr("IFLA_MTU"),
            bool(record["flags"] & _UP),
            bool(record["flags"] & _RUNNING),
        )
        async for record in await netlink.get_links()
    }
