"""The interfaces of this appliance as the examination of a LAN needs them, read by rtnetlink."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final

from pyroute2 import AsyncIPRoute

from netboot.serve.net.links import Link, read_links

_UP: Final = 0x1  # IFF_UP of <linux/if.h>


@dataclass(frozen=True, slots=True)
class ExaminedLink:
    """One interface of this appliance. `kind`: bond, vlan, bridge …; empty for a card."""

    name: str
    index: int
    mac: bytes
    kind: str
    is_up: bool
    has_carrier: bool
    carrier_changes: int  # since it exists
    addresses: frozenset[IPv4Address] = frozenset()


async def read_examined_links() -> Mapping[str, ExaminedLink]:
    """Read every interface with its IPv4 addresses."""
    async with AsyncIPRoute() as netlink:
        await netlink.bind()
        found = await read_links(netlink)
        records = [record async for record in await netlink.get_links()]
    links = [_link(record, found) for record in records]
    return {link.name: link for link in links}


async def read_carrier(netlink: Any, index: int) -> tuple[bool, int]:
    """Read whether one interface has a carrier, and how often that changed since it exists; raise NetlinkError."""
    (record,) = await netlink.link("get", index=index)
    link = _link(record, {})
    return link.has_carrier, link.carrier_changes


def _link(record: Any, found: Mapping[str, Link]) -> ExaminedLink:
    name, info = record.get_attr("IFLA_IFNAME"), record.get_attr("IFLA_LINKINFO")
    return ExaminedLink(
        name=name,
        index=record["index"],
        mac=bytes.fromhex((record.get_attr("IFLA_ADDRESS") or "").replace(":", "")),
        kind=(info.get_attr("IFLA_INFO_KIND") or "") if info is not None else "",
        is_up=bool(record["flags"] & _UP),
        has_carrier=bool(record.get_attr("IFLA_CARRIER")),
        carrier_changes=record.get_attr("IFLA_CARRIER_CHANGES") or 0,
        addresses=frozenset(each.address.ip for each in found[name].addresses) if name in found else frozenset(),
    )
