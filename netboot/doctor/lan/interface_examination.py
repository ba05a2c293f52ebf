"""Listens on one interface for some seconds and sends its few packets: see `examine_lan` for how many."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Final

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netboot.doctor.lan.heard_interface import CarrierTimes, HeardInterface
from netboot.doctor.lan.heard_lan import HeardLan
from netboot.doctor.lan.lan_links import ExaminedLink, read_carrier
from netboot.doctor.lan.packets.boot_servers import BootServerQueries
from netboot.doctor.lan.packets.lan_socket import LanSocket
from netboot.doctor.lan.packets.sent_packets import CLIENTS, PROBES, TRIES, arp_probe, discover_frame, own_mac
from netboot.model.boot.other_server import Here

SEND_AFTER_S: Final = 0.2
PROBE_EVERY_S: Final = 1.0  # PROBE_MIN of RFC 5227
LAST_SEND: Final = 0.5  # of the time: a reply to what is sent later could come too late
_POLL_S: Final = 0.2


class InterfaceExamination:
    """One run on one interface."""

    def __init__(
        self,
        link: ExaminedLink,
        *,
        own: frozenset[IPv4Address],
        links: Mapping[str, ExaminedLink],
        served: frozenset[str],
        leases: bool,
    ) -> None:
        """`own`: every address of this appliance; `links`: every interface of it."""
        self._link, self._served, self._here = link, served, Here(own, leases)
        self._own_macs = {each.mac.hex(":"): each.name for each in links.values() if any(each.mac)}
        self._heard = HeardLan(own)
        self._up = asyncio.Event()
        self._up_at_s: float | None = None
        self._changes = link.carrier_changes
        self._queries: BootServerQueries | None = None

    async def run(self, *, seconds: float, sends: bool, port_67_holder: str | None) -> HeardInterface | None:
        """Listen, and send what may be sent; None: the link had no carrier. Raises PortError."""
        loop = asyncio.get_running_loop()
        began_at_s = loop.time()
        opened = LanSocket(self._link.name, self._heard.add)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._follow_carrier())]
                if sends:
                    tasks.append(group.create_task(self._send(opened, began_at_s + seconds)))
                await asyncio.sleep(seconds)
                for task in tasks:
                    task.cancel()
        finally:
            opened.close()
            if self._queries is not None:
                self._queries.close()
        if not self._up.is_set():
            return None
        return HeardInterface(
            name=self._link.name,
            kind=self._link.kind,
            heard=self._heard,
            here=self._here,
            own_macs=self._own_macs,
            served=self._served,
            seconds=seconds,
            sends=sends,
            carrier=CarrierTimes(self._up_at_s, self._link.carrier_changes, self._changes),
            port_67_holder=port_67_holder,
            boot_servers=self._queries.answers if self._queries is not None else {},
        )

    async def _follow_carrier(self) -> None:
        """Record when the carrier comes, and how often it changes."""
        if self._link.has_carrier:
            self._up.set()
        async with AsyncIPRoute() as netlink:
            await netlink.bind()
            while True:
                with suppress(NetlinkError):  # the interface was removed
                    has_carrier, self._changes = await read_carrier(netlink, self._link.index)
                    if has_carrier and not self._up.is_set():
                        self._up_at_s = asyncio.get_running_loop().time()
                        self._up.set()
                await asyncio.sleep(_POLL_S)

    async def _send(self, opened: LanSocket, ends_at_s: float) -> None:
        """Send as soon as there is a carrier."""
        await self._up.wait()
        await asyncio.sleep(SEND_AFTER_S)
        left_s = ends_at_s - asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._discover(opened, again_after_s=left_s * LAST_SEND))
            group.create_task(self._probe(opened, ends_at_s))

    async def _discover(self, opened: LanSocket, *, again_after_s: float) -> None:
        """Send a DISCOVER as each client; those without a reply again; then the requests to port 4011."""
        mac, began_at_s = own_mac(self._link.mac), asyncio.get_running_loop().time()
        exchanges = {random.getrandbits(32): client for client in CLIENTS}
        self._heard.requests.update(exchanges)
        for number in range(TRIES):
            secs = round(asyncio.get_running_loop().time() - began_at_s)
            for exchange, client in exchanges.items():
                if not self._heard.has_reply(exchange):
                    opened.send(discover_frame(client, mac, exchange=exchange, secs=secs))
            if number < TRIES - 1:
                await asyncio.sleep(again_after_s)
        self._query_boot_servers()

    def _query_boot_servers(self) -> None:
        """Send a request to port 4011 of each server whose offer leads there."""
        address = min(self._link.addresses, default=None)
        servers = [offer.server for offer in self._heard.offers.values() if offer.needs_boot_server]
        if address is not None and servers:
            with suppress(OSError):  # the address was removed
                self._queries = BootServerQueries(self._link.name, address, own_mac(self._link.mac))
                self._queries.send(servers)

    async def _probe(self, opened: LanSocket, ends_at_s: float) -> None:
        """Probe for each address of the interface."""
        for _ in range(PROBES):
            if asyncio.get_running_loop().time() + PROBE_EVERY_S / 2 > ends_at_s:
                return
            for address in self._link.addresses:
                opened.send(arp_probe(address, self._link.mac))
            await asyncio.sleep(PROBE_EVERY_S)
