"""The socket of one TFTP transfer: bound to the machine's address, with the machine's behaviour on the line.

Loss, delay, wrong order, duplicates and a slow reader are made here, between the socket and the receiver.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from netboot.probe.machine import Behaviour
from netboot.probe.tftp.file_receiver import FileReceiver, TransferEnding, TransferOutcome

TransitS = Callable[[int], float | None]
"""How long a datagram of this size is under way, in seconds; None if it is lost."""

_IP_RECVERR: Final = 11  # linux/in.h: an ICMP error ends the wait, as it does in firmware
_REORDER_EVERY: Final = 5  # packets
_HELD_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0
_RECEIVE_BYTES: Final = 256 << 10  # a window, whatever the event loop does meanwhile


class UnreachableError(Exception):
    """An ICMP error came back: nothing listens, or there is no route."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is between the receiver and the server."""

    server: tuple[str, int]
    source: str
    behaviour: Behaviour
    transit_s: TransitS


class TransferSocket(asyncio.DatagramProtocol):
    """Drives one receiver until its outcome, which is the result of `outcome`."""

    def __init__(self, receiver: FileReceiver, line: Line) -> None:
        self._receiver = receiver
        self._line = line
        self._behaviour = line.behaviour
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[TransferOutcome] = self._loop.create_future()
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_s = 0.0
        self._port: int | None = None  # of the first reply
        self._held: bytes | None = None  # overtaken by the next packet
        self._count = 0
        self._free_at_s = self._loop.time()  # when a slow machine has processed what it received
        self.sent_at_s = self._free_at_s  # when the last datagram so far has left a slow line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # Python 3.11's is no instance of it
        self._send([self._receiver.request])
        self._start_timer()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if addr[0] != self._line.server[0] or addr[1] != (self._port or addr[1]):
            return
        self._port = addr[1]
        if (transit_s := self._line.transit_s(len(data))) is None:
            return
        for packet in self._in_order_of_arrival(data):
            self._process_after(transit_s, packet)

    def error_received(self, exc: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(UnreachableError(str(exc)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is asyncio's
        if self._timer is not None:
            self._timer.cancel()
        self.outcome.cancel()

    def _in_order_of_arrival(self, data: bytes) -> list[bytes]:
        if not self._behaviour.reorders:
            return [data]
        if self._held is not None:
            held, self._held = self._held, None
            return [data, held]
        self._count += 1
        if self._count % _REORDER_EVERY == 0:
            self._held = data
            self._loop.call_later(_HELD_S, self._release_held)
            return []
        return [data]

    def _process_after(self, transit_s: float, packet: bytes) -> None:
        bytes_per_s = self._behaviour.bytes_per_s
        if not transit_s and not bytes_per_s:
            self._process(packet)
            return
        now_s = self._loop.time()
        busy_s = len(packet) / bytes_per_s if bytes_per_s else 0.0
        arrives_s = now_s + max(transit_s, busy_s)  # the transit has the time for its bytes already
        self._free_at_s = min(max(self._free_at_s + busy_s, arrives_s), now_s + transit_s + _LONGEST_PAUSE_S)
        self._loop.call_at(self._free_at_s, self._process, packet)

    def _process(self, packet: bytes) -> None:
        if not self.outcome.done():
            self._send(self._receiver.receive(packet))
            self._finish_or_wait()

    def _expire(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline_s:  # packets came meanwhile
            self._timer = self._loop.call_at(self._deadline_s, self._expire)
            return
        self._send(self._receiver.expire())
        self._finish_or_wait()

    def _release_held(self) -> None:
        """Process a packet that no later one overtook: the last of a window."""
        if self._held is not None:
            held, self._held = self._held, None
            self._process(held)

    def _finish_or_wait(self) -> None:
        if self._receiver.outcome is None:
            self._start_timer()
        elif not self.outcome.done():
            self.outcome.set_result(self._receiver.outcome)

    def _start_timer(self) -> None:
        """Set the deadline; one timer serves many packets, which come faster than any of them expires."""
        self._deadline_s = self._loop.time() + self._behaviour.wait_s(self._receiver.wait_s)
        if self._timer is not None and self._timer.when() <= self._deadline_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline_s, self._expire)

    def _send(self, packets: list[bytes]) -> None:
        to = (self._line.server[0], self._port or self._line.server[1])
        for packet in packets:
            for _ in range(2 if self._behaviour.duplicates else 1):
                transit_s = self._line.transit_s(len(packet))
                if transit_s:
                    self.sent_at_s = max(self.sent_at_s, self._loop.time() + transit_s)
                    self._loop.call_later(transit_s, self._send_now, packet, to)
                elif transit_s is not None:
                    self._send_now(packet, to)

    def _send_now(self, packet: bytes, to: tuple[str, int]) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.sendto(packet, to)


async def transfer(receiver: FileReceiver, line: Line, *, timeout_s: float) -> TransferOutcome:
    """Do one transfer from the machine's address; at most `timeout_s`, then it counts as stalled."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    udp.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    try:
        udp.bind((line.source, 0))
    except OSError:
        udp.close()
        raise
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: TransferSocket(receiver, line), sock=udp)
    try:
        outcome = await asyncio.wait_for(protocol.outcome, timeout_s)
        await asyncio.sleep(
            protocol.sent_at_s - loop.time()
        )  # the last ACK, or the ERROR that ends a probe, is under way
        return outcome
    except TimeoutError:
        detail = f"{receiver.received_bytes} bytes received in {timeout_s:.0f} s"
        return TransferOutcome(TransferEnding.STALLED, receiver.announced_bytes, detail=detail)
    finally:
        transport.close()
