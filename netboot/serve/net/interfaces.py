"""Follow the interfaces of `network.interfaces`: which exist, with which address, as links and addresses change.

Uses rtnetlink, never polling. An interface without an IPv4 address is served as soon as it has one, also after the
start. If it has several, the same rule applies at the start and later: the `address` of the settings is used, else the
first primary address (`ip addr` shows no `secondary`) that is not a /32, because a failover daemon adds those.
"""

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from socket import if_nameindex
from typing import Any, Self

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_LINK

from netboot.model.host.network import Interface, InterfaceSetting, choose_address
from netboot.serve.net.links import Link, read_links

log = structlog.get_logger()

Changed = Callable[[Sequence[Interface]], None]


class Interfaces:
    """The wanted interfaces as they are now; use as `async with`, then run `follow` beside everything else."""

    def __init__(self, wanted: Iterable[InterfaceSetting]) -> None:
        self._wanted = {interface.name: interface for interface in wanted}
        self._current: dict[str, Interface] = {}
        self._found: Mapping[str, Interface] = {}
        self._changed: list[Changed] = []
        self._netlink: Any = None  # pyroute2 is untyped

    async def __aenter__(self) -> Self:
        """Read the interfaces once."""
        await self._listen()
        self._use(await self._read())
        for name, reason in self.awaited.items():
            log.warning("interface.awaited", iface=name, reason=reason)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._close_netlink()

    @property
    def current(self) -> tuple[Interface, ...]:
        """The existing interfaces with an address, in the order of the settings."""
        return tuple(self._current.values())

    @property
    def awaited(self) -> dict[str, str]:
        """The interfaces that cannot be served now, each with the reason."""
        unserved = [name for name in self._wanted if name not in self._current]
        return {name: self._why_unserved(name) for name in unserved}

    def on_change(self, changed: Changed) -> None:
        """Call `changed` with the interfaces as they are, now and after each change."""
        self._changed.append(changed)
        changed(self.current)

    async def follow(self) -> None:
        """Follow rtnetlink until cancelled."""
        while True:
            try:
                async for _ in self._netlink.get():
                    pass  # what changed is read anew, so that no lost notification matters
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                await self._listen()  # too many notifications at once: pyroute2 needs another socket
            before = self._current
            self._use(await self._read())
            if self._current != before:
                for changed in self._changed:
                    changed(self.current)

    async def _listen(self) -> None:
        self._close_netlink()
        self._netlink = AsyncIPRoute()
        await self._netlink.bind(groups=RTMGRP_LINK | RTMGRP_IPV4_IFADDR)

    def _close_netlink(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    async def _read(self) -> Mapping[str, Interface]:
        """Read the wanted links with all their addresses; one without any is not among them."""
        links = await read_links(self._netlink)
        return {
            name: _interface(wanted, links[name])
            for name, wanted in self._wanted.items()
            if name in links and links[name].addresses
        }

    def _use(self, found: Mapping[str, Interface]) -> None:
        """Keep the interfaces that can be served; log those that were added or lost."""
        before, self._found = self._current, found
        self._current = {name: each for name, each in found.items() if each.address in each.addresses}
        for name in sorted(before.keys() - self._current.keys()):
            log.warning("interface.lost", iface=name, reason=self._why_unserved(name))
        for name, interface in self._current.items():
            if interface != before.get(name):
                log.info(
                    "interface.served",
                    iface=name,
                    address=str(interface.address),
                    other_addresses=[str(other) for other in interface.addresses if other != interface.address],
                    mtu_bytes=interface.mtu_bytes,
                )

    def _why_unserved(self, name: str) -> str:
        here = [each for _, each in if_nameindex()]
        if name not in here:
            return f"this appliance has no such interface; it has {', '.join(here)}"
        if name not in self._found:
            return "it has no IPv4 address"
        return f"it has no address {self._wanted[name].address}"


def _interface(wanted: InterfaceSetting, link: Link) -> Interface:
    return Interface(
        wanted.name,
        link.index,
        choose_address(link.addresses, wanted.address),
        tuple(each.address.ip for each in link.addresses),
        link.mtu_bytes,
        tuple(dict.fromkeys(each.address.network for each in link.addresses)),
        wanted.advertise,
    )
