"""Follow the interfaces of `network.interfaces`: who is there, with which address, as links and addresses come and go.

Told by rtnetlink, never polling. An interface without an IPv4 address is silent until it has one; a LAN may appear
after the start. Never guesses among several addresses: at the start that is an error which names the choices; later the
address that was in use stays while it lasts, else the interface falls silent and a person is told.
"""

import asyncio
import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from socket import AF_INET
from types import TracebackType
from typing import Any, Final, Self

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_LINK

from netboot.errors import ConfigError, Problem
from netboot.model.network import Interface, WantedInterface

log = structlog.get_logger()

Changed = Callable[[Sequence[Interface]], None]

_DUMP_ATTEMPTS: Final = 10  # the kernel says that a dump was overtaken by a change
_SCOPE_LINK: Final = 253  # 169.254/16 that nobody chose


class Interfaces:
    """The wanted interfaces as they are now; use as `async with`, then run `follow` beside everything else."""

    def __init__(self, wanted: Iterable[WantedInterface]) -> None:
        self._wanted = {interface.name: interface for interface in wanted}
        self._current: dict[str, Interface] = {}
        self._ambiguous: frozenset[str] = frozenset()
        self._changed: list[Changed] = []
        self._netlink: Any = None  # pyroute2 is untyped

    async def __aenter__(self) -> Self:
        """Read the interfaces once; raise ConfigError for each that has several addresses and none chosen."""
        await self._listen()
        found = await self._read()
        problems = [
            _ambiguity(name, found[name].addresses)
            for name, wanted in self._wanted.items()
            if name in found and _chosen(found[name], wanted, None) is None and wanted.address is None
        ]
        if problems:
            self._hang_up()
            raise ConfigError(problems)
        self._take(found)
        for name in self._wanted.keys() - self._current.keys():
            log.warning("interface.awaited", iface=name, reason=self._why_silent(name, found))
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._hang_up()

    @property
    def current(self) -> tuple[Interface, ...]:
        """Those that are there and have an address, in the order of the settings."""
        return tuple(self._current[name] for name in self._wanted if name in self._current)

    def on_change(self, changed: Changed) -> None:
        """Call `changed` with the interfaces as they are, now and after each change."""
        self._changed.append(changed)
        changed(self.current)

    async def follow(self) -> None:
        """Follow rtnetlink until cancelled."""
        while True:
            try:
                async for _ in self._netlink.get():
                    pass  # one datagram of news; what it says in detail is read anew, so that nothing lost matters
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                await self._listen()  # too much news at once: pyroute2 needs another socket
            before = self._current
            self._take(await self._read())
            if self._current != before:
                for changed in self._changed:
                    changed(self.current)

    async def _listen(self) -> None:
        self._hang_up()
        self._netlink = AsyncIPRoute()
        await self._netlink.bind(groups=RTMGRP_LINK | RTMGRP_IPV4_IFADDR)

    def _hang_up(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    async def _read(self) -> Mapping[str, Interface]:
        """Read the wanted links with all their addresses; one without any is not among them."""
        for _ in range(_DUMP_ATTEMPTS):
            try:
                return await self._dump()
            except NetlinkDumpInterrupted:
                await asyncio.sleep(0)
        return await self._dump()

    async def _dump(self) -> Mapping[str, Interface]:
        addresses: dict[int, list[IPv4Interface]] = {}
        async for record in await self._netlink.get_addr(family=AF_INET):
            if record["scope"] != _SCOPE_LINK:
                # IFA_LOCAL is ours; IFA_ADDRESS is the peer's on a point-to-point link
                ours = record.get_attr("IFA_LOCAL") or record.get_attr("IFA_ADDRESS")
                addresses.setdefault(record["index"], []).append(IPv4Interface((ours, record["prefixlen"])))
        found: dict[str, Interface] = {}
        async for record in await self._netlink.get_links():
            name, index = record.get_attr("IFLA_IFNAME"), record["index"]
            if name in self._wanted and index in addresses:
                here = addresses[index]
                ours, networks = tuple(each.ip for each in here), tuple(dict.fromkeys(each.network for each in here))
                found[name] = Interface(name, index, ours[0], ours, record.get_attr("IFLA_MTU"), networks)
        return found

    def _take(self, found: Mapping[str, Interface]) -> None:
        """Choose each interface's address and keep what can serve; tell what came, went and cannot be chosen."""
        before, now, ambiguous = self._current, dict[str, Interface](), set[str]()
        for name, wanted in self._wanted.items():
            if name not in found:
                continue
            interface = _chosen(found[name], wanted, before.get(name))
            if interface is not None:
                now[name] = interface
            elif wanted.address is None:
                ambiguous.add(name)
        for name in sorted(ambiguous - self._ambiguous):
            problem = _ambiguity(name, found[name].addresses)
            log.error("interface.left_silent", iface=name, reason=problem.what, cure=problem.cure)
        for name in sorted(before.keys() - now.keys()):
            log.warning("interface.lost", iface=name, reason=self._why_silent(name, found))
        for name, interface in now.items():
            if interface != before.get(name):
                log.info("interface.served", iface=name, address=str(interface.address), mtu_bytes=interface.mtu_bytes)
        self._current, self._ambiguous = now, frozenset(ambiguous)

    def _why_silent(self, name: str, found: Mapping[str, Interface]) -> str:
        if name not in found:
            return "it is not there, or has no IPv4 address"
        return f"it has no address {self._wanted[name].address}"


def _chosen(found: Interface, wanted: WantedInterface, before: Interface | None) -> Interface | None:
    """Choose the address to answer from: the one that was set, the only one, or the one in use so far."""
    if wanted.address is not None:
        address = wanted.address
    elif len(found.addresses) == 1:
        address = found.addresses[0]
    elif before is not None:
        address = before.address
    else:
        return None
    if address not in found.addresses:
        return None
    return replace(found, address=address)


def _ambiguity(name: str, addresses: Sequence[IPv4Address]) -> Problem:
    return Problem(
        file="network.interfaces",
        line=0,
        column=0,
        where=name,
        what=f"has the addresses {', '.join(map(str, addresses))} and none is chosen",
        cure=f"write {{name: {name}, address: {addresses[0]}}} or one of the others",
    )
