"""Requests the boot file from port 4011 of servers, as UEFI firmware does that was offered option 60 without a file.

From a UDP socket on an address of the interface: the kernel resolves the server's address, and the reply comes to the
port of the request (PXE 2.1 §2.2.5). One datagram for each server.
"""

import asyncio
import random
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Final

from netboot.doctor.lan.packets.sent_packets import BOOT_SERVERS, boot_server_request
from netboot.doctor.lan.packets.server_offer import options_of, text_of
from netboot.model.host.mac import Mac

PORT: Final = 4011
LARGEST_BYTES: Final = 4096
_ACK: Final = 5


class BootServerQueries:
    """One socket; `answers` has the boot file that each server names, None for one without a reply so far."""

    def __init__(self, interface: str, address: IPv4Address, mac: Mac) -> None:
        """Open the socket in the running loop; raise OSError."""
        self._address, self._mac = address, mac
        self._exchange = random.getrandbits(32)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._loop = asyncio.get_running_loop()
        self.answers: dict[IPv4Address, str | None] = {}
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            self._socket.bind((str(address), 0))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket.fileno(), self._read)

    def send(self, servers: Iterable[IPv4Address]) -> None:
        """Send one request to each server that had none, to `BOOT_SERVERS` at most."""
        for server in servers:
            if server not in self.answers and len(self.answers) < BOOT_SERVERS:
                self.answers[server] = None
                request = boot_server_request(self._mac, exchange=self._exchange, address=self._address)
                with suppress(OSError):
                    self._socket.sendto(request, (str(server), PORT))

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        for _ in range(BOOT_SERVERS):
            try:
                data, (host, port) = self._socket.recvfrom(LARGEST_BYTES)
            except OSError:
                return
            server = IPv4Address(host)
            if port == PORT and server in self.answers:
                with suppress(Exception):  # a hostile datagram may raise anything in a dissector
                    self._note(server, data)

    def _note(self, server: IPv4Address, data: bytes) -> None:
        from scapy.layers.dhcp import BOOTP, DHCP

        message = BOOTP(data)
        if message.xid == self._exchange and DHCP in message:
            options = options_of(message[DHCP])
            if options.get("message-type") == _ACK:
                self.answers[server] = text_of(options.get("boot-file-name")) or text_of(message.file)
