"""Every IPv4 and IPv6 address of every interface of this appliance, now and after each change (rtnetlink).

`links` has what the boot LAN needs; this is for the administration, which may be on any interface.
"""

import errno
from collections.abc import AsyncGenerator
from contextlib import closing, suppress
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Any, Final

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK

from netboot.model.admin_listen import IpAddress, LocalAddresses

_DUMP_ATTEMPTS: Final = 10  # the kernel reports that a change overtook a dump
_SCOPE_LINK: Final = 253  # fe80::/10, and 169.254/16 that nobody chose
_GROUPS: Final = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR


async def read_local_addresses() -> LocalAddresses:
    """Read the addresses of each interface by its name, without those that are valid on one link only."""
    netlink = AsyncIPRoute()
    with closing(netlink):
        await netlink.bind()
        for _ in range(_DUMP_ATTEMPTS):
            with suppress(NetlinkDumpInterrupted):
                return await _dump(netlink)
        return await _dump(netlink)


async def follow_local_addresses() -> AsyncGenerator[LocalAddresses, None]:
    """Yield the addresses as they are now, then after each change; never ends."""
    while True:
        netlink = AsyncIPRoute()
        with closing(netlink):
            await netlink.bind(groups=_GROUPS)
            yield await read_local_addresses()
            try:
                while True:
                    async for _ in netlink.get():
                        pass  # what changed is read anew, so that no lost notification matters
                    yield await read_local_addresses()
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # too many notifications at once: pyroute2 needs another socket
                    raise


async def _dump(netlink: Any) -> LocalAddresses:
    names = {record["index"]: record.get_attr("IFLA_IFNAME") async for record in await netlink.get_links()}
    found: dict[str, list[IpAddress]] = {name: [] for name in names.values()}
    for family in (AF_INET, AF_INET6):
        async for record in await netlink.get_addr(family=family):
            if record["scope"] != _SCOPE_LINK and record["index"] in names:
                # IFA_LOCAL is ours; IFA_ADDRESS is the peer's on a point-to-point link, and the only one of IPv6
                text = record.get_attr("IFA_LOCAL") or record.get_attr("IFA_ADDRESS")
                found[names[record["index"]]].append(ip_address(text))
    return found
