"""Addresses and routes of simulated machines on the interface: added by rtnetlink, and all removed at the end.

Each address is a /32 of this computer, so that sockets may be bound to it. It has a limited life, after which the
kernel removes it if this process was killed.
"""

import asyncio
import errno
from collections import Counter
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Final

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netboot.probe.lan.lan_errors import LanInterfaceError

_LIFETIME_S: Final = 6 * 3600
_LINK_SCOPE: Final = 253
_ON_LINK: Final = 4  # RTNH_F_ONLINK: the gateway is reached directly, although no route shows it


class LanAddresses:
    """Adds addresses and routes to one interface; use as `async with`."""

    def __init__(self, name: str, index: int) -> None:
        self._name = name
        self._index = index
        self._netlink: Any = None  # pyroute2 is untyped
        self._uses: Counter[IPv4Address] = Counter()
        self._not_ours: set[IPv4Address] = set()
        self._routes: dict[IPv4Address, dict[str, Any]] = {}
        self._reached: set[IPv4Address] = set()
        self._reaching = asyncio.Lock()

    async def open(self) -> None:
        """Open the netlink socket."""
        self._netlink = AsyncIPRoute()
        await self._netlink.bind()

    async def close(self) -> None:
        """Remove every route and address that was added."""
        for destination in list(self._routes):
            await self._remove_route(destination)
        for address in list(self._uses):
            await self._delete(address)
        self._netlink.close()

    async def add(self, address: IPv4Interface) -> None:
        """Add an address as /32; the second use of the same address is only counted."""
        self._uses[address.ip] += 1
        if self._uses[address.ip] > 1:
            return
        lifetimes = {"preferred_lft": _LIFETIME_S, "valid_lft": _LIFETIME_S}
        try:
            await self._netlink.addr("add", index=self._index, address=str(address.ip), prefixlen=32, **lifetimes)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                del self._uses[address.ip]  # nothing to remove
                raise LanInterfaceError(f"cannot add {address.ip} to {self._name}: {error}; {RIGHTS}") from error
            self._not_ours.add(address.ip)

    async def remove(self, address: IPv4Address) -> None:
        """Remove an address after its last use."""
        self._uses[address] -= 1
        if self._uses[address] <= 0:
            await self._delete(address)

    async def reach(self, destination: IPv4Address, gateway: IPv4Address | None) -> None:
        """Add a route to a server, if this computer would not reach it through this interface."""
        async with self._reaching:
            if destination not in self._reached and not await self._is_reached(destination):
                await self._add_route(destination, gateway)
            self._reached.add(destination)

    async def _add_route(self, destination: IPv4Address, gateway: IPv4Address | None) -> None:
        ways = {"gateway": str(gateway), "flags": _ON_LINK} if gateway else {"scope": _LINK_SCOPE}
        route = {"dst": f"{destination}/32", "oif": self._index, **ways}
        try:
            await self._netlink.route("add", **route)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise LanInterfaceError(f"cannot add a route to {destination} on {self._name}: {error}") from error
        else:
            self._routes[destination] = route

    async def _is_reached(self, destination: IPv4Address) -> bool:
        try:
            found = await self._netlink.route("get", dst=str(destination))
        except NetlinkError:
            return False
        return bool(found) and found[0].get_attr("RTA_OIF") == self._index

    async def _remove_route(self, destination: IPv4Address) -> None:
        route = self._routes.pop(destination)
        await self._quietly("route", **route)

    async def _delete(self, address: IPv4Address) -> None:
        del self._uses[address]
        if address in self._not_ours:
            self._not_ours.discard(address)
        else:
            await self._quietly("addr", index=self._index, address=str(address), prefixlen=32)
        if not self._uses:  # the kernel removes the routes of an interface with its last address
            self._reached.clear()

    async def _quietly(self, kind: str, **values: Any) -> None:
        """Delete what the kernel may have removed by itself, with its link for example."""
        try:
            await getattr(self._netlink, kind)("del", **values)
        except NetlinkError as error:
            if error.code not in (errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENETUNREACH):
                raise


RIGHTS: Final = "run it as root, or with the capabilities CAP_NET_RAW and CAP_NET_ADMIN"
