"""The running TFTP transfers of one interface: their sockets, timers and limits, and how each ends.

Must never run a task per transfer, and never let forged requests take the place of machines that answer:
transfers without a first ACK are limited, and the oldest of them is ended for a new one. If all places are taken, an
address takes one from the address that has most, or from a transfer that waits.
"""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Final, assert_never

import structlog

from netboot.content.bootfiles.bootfile_cache import LargeFile
from netboot.model.words import printable_line
from netboot.serve.net.udp import Address
from netboot.serve.tftp.captured_tftp import CapturedTransfer
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics
from netboot.wire.tftp import packet as tftp
from netboot.wire.tftp.packet import ErrorCode, ReadRequest
from netboot.wire.tftp.transfer import LONGEST_TIMEOUT_S, Outcome, Sender

log = structlog.get_logger()

_DATAGRAMS_PER_TURN: Final = 8  # datagrams of one transfer before the other transfers continue
_LONGEST_FROM_PEER: Final = 2048
_LATE_DUPLICATE_S: Final = 1.0  # a request repeated this soon in a transfer is a duplicate
_CHECK_EVERY_S: Final = 1.0  # each transfer: a machine may request a timeout of 255 s, and its end frees memory
_IP_MTU_DISCOVER: Final = 10  # <linux/in.h>, as the next
_IP_PMTUDISC_DONT: Final = 0
_UNKNOWN_TID: Final = tftp.error(ErrorCode.UNKNOWN_TRANSFER_ID, "unknown transfer")
_ARRIVED_AT: Final = attrgetter("arrived_at")


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """How many transfers one interface serves at once. `half_open`: without a first ACK."""

    total: int
    per_client: int
    half_open: int = 256
    half_open_per_client: int = 64


@dataclass(slots=True, eq=False)
class Transfer:
    """One read and its socket. `connection` is its own socket; None if all share the server's.

    `ours` is the address that received the request. `sender` and `send` are set when the content is there.
    """

    peer: Address
    ours: str
    request: ReadRequest
    name: str
    sender: Sender = field(init=False)
    send: Callable[[bytes], object] = field(init=False)
    captured: CapturedTransfer | None = None  # None: its packets are not recorded
    connection: socket.socket | None = None
    file: LargeFile | None = None
    is_reading: bool = False  # a piece of the file is on its way from the disk
    end_progress: Callable[[], object] = field(default=lambda: None)  # called at its end
    started_at: float = 0.0
    last_heard_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    arrived_at: float = field(default_factory=time.monotonic)  # its request, long before it begins if the disk is slow

    def close(self) -> None:
        """Close the socket, and the file unless a thread reads it now."""
        if self.timer is not None:
            self.timer.cancel()
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        if self.file is not None and not self.is_reading:
            self.file.close()
            self.file = None


def transfer_socket(interface: str, address: str) -> socket.socket:
    """Open a port for one transfer on the address that received the request; raises OSError.

    DF stays off: a router on the way may fragment what its next link cannot carry.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        opened.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
        opened.bind((address, 0))
    except OSError:
        opened.close()
        raise
    return opened


def peer_error_of(sender: Sender) -> str:
    """Write the ERROR with which the machine ended a read; empty without one."""
    error = sender.peer_error
    return "" if error is None else f"{error.code} {printable_line(error.message)}".strip()


class Transfers:
    """All transfers of one interface, keyed by the machine's address and port."""

    def __init__(
        self,
        interface: str,
        *,
        limits: TransferLimits,
        threads: Executor,
        counters: Metrics,
        ended: Callable[[Transfer, float], None],
    ) -> None:
        self._interface = interface
        self._limits = limits
        self._threads = threads
        self._counters = counters
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._running: dict[Address, Transfer] = {}
        self._half_open: dict[Address, Transfer] = {}
        self._per_client: Counter[str] = Counter()
        self._faults = LineLimit()
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def running_count(self) -> int:
        return len(self._running)

    @property
    def bytes_running(self) -> int:
        """How many bytes the running transfers have sent."""
        return sum(transfer.sender.bytes_sent for transfer in self._running.values())

    def get(self, peer: Address) -> Transfer | None:
        return self._running.get(peer)

    def answer_repeat(self, peer: Address, request: ReadRequest) -> bool:
        """Answer a repeated request from the transfer that it began; end it where the machine began another one."""
        transfer = self._running.get(peer)
        if transfer is None:
            return False
        now = self._loop.time()
        if transfer.request == request:
            if transfer.sender.is_beginning:
                transfer.sender.repeat_first_answer()
                self._advance(transfer, now)
                return True
            if now - transfer.last_heard_at < _LATE_DUPLICATE_S:
                return True
        self._end(transfer, Outcome.REPLACED)
        return False

    def admit(self, address: str) -> str | None:
        """Return None if this client may have one more transfer, else the reason: the machine will retry."""
        limits = self._limits
        if len(self._half_open) >= limits.half_open_per_client:
            of_client = [transfer for peer, transfer in self._half_open.items() if peer[0] == address]
            if len(of_client) >= limits.half_open_per_client:
                self._end(min(of_client, key=_ARRIVED_AT), Outcome.REPLACED)
        if len(self._half_open) >= limits.half_open:
            self._end(min(self._half_open.values(), key=_ARRIVED_AT), Outcome.REPLACED)
        if self._per_client[address] >= limits.per_client:
            return "client-limit"
        if len(self._running) < limits.total:
            return None
        if (yields := self._yielding_to(address)) is None:
            return "total-limit"
        self._end(yields, Outcome.REPLACED)
        return None

    def _yielding_to(self, address: str) -> Transfer | None:
        """Return the transfer that ends for one of this address: machines may request a timeout of 255 s."""
        found = max(self._running.values(), key=lambda each: (self._per_client[each.peer[0]], -each.last_heard_at))
        waits = self._loop.time() - found.last_heard_at > LONGEST_TIMEOUT_S
        return found if waits or self._per_client[found.peer[0]] > self._per_client[address] + 1 else None

    def begin(self, transfer: Transfer) -> None:
        """Send the first answer and follow the transfer to its end."""
        self._running[transfer.peer] = self._half_open[transfer.peer] = transfer
        self._per_client[transfer.peer[0]] += 1
        self.idle.clear()
        if transfer.connection is not None:
            self._loop.add_reader(transfer.connection, self._on_readable, transfer)
        now = transfer.started_at = transfer.last_heard_at = self._loop.time()
        self._advance(transfer, now)
        self._set_timer(transfer, now)

    def receive(self, transfer: Transfer, datagram: bytes) -> None:
        """Process one datagram of the transfer's own peer."""
        now = self._loop.time()
        transfer.sender.receive_datagram(datagram, now)
        transfer.last_heard_at = now
        if transfer.captured is not None:
            transfer.captured.received(datagram, transfer.sender)
        if transfer.sender.is_answered:
            self._half_open.pop(transfer.peer, None)
        self._advance(transfer, now)

    def close(self) -> None:
        """End every transfer without an ERROR."""
        for transfer in list(self._running.values()):
            self._end(transfer, Outcome.STOPPED)

    def _on_readable(self, transfer: Transfer) -> None:
        connection = transfer.connection
        assert connection is not None
        for _ in range(_DATAGRAMS_PER_TURN):
            try:
                datagram, peer = connection.recvfrom(_LONGEST_FROM_PEER)
            except OSError:  # nothing more to send now
                return
            if peer == transfer.peer:
                self.receive(transfer, datagram)
                if transfer.sender.outcome is not None:
                    return
            else:
                self._answer_unknown_tid(connection, peer, datagram)

    def _answer_unknown_tid(self, connection: socket.socket, peer: Address, datagram: bytes) -> None:
        self._counters.count("tftp_unknown_tid", interface=self._interface)
        if datagram[:2] == b"\0\5":  # an ERROR is never answered
            return
        with suppress(OSError):
            connection.sendto(_UNKNOWN_TID, peer)

    def _advance(self, transfer: Transfer, now: float) -> None:
        """Send what is due; then end the transfer, or request more of the file."""
        sender = transfer.sender
        try:
            datagrams = sender.datagrams_to_send(now)
            for datagram in datagrams:
                transfer.send(datagram)
            if transfer.captured is not None:
                transfer.captured.sent(datagrams, sender)
        except OSError:  # as if lost on the way: the timer sends it again
            self._counters.count("tftp_send_failures", interface=self._interface)
        if sender.outcome is not None:
            self._end(transfer, sender.outcome)
        elif transfer.file is not None and not transfer.is_reading and (wanted := sender.wanted()) is not None:
            offset, length = wanted
            transfer.is_reading = True
            reading = self._loop.run_in_executor(self._threads, transfer.file.piece, offset, length)
            reading.add_done_callback(partial(self._take_piece, transfer, offset))

    def _take_piece(self, transfer: Transfer, offset: int, reading: asyncio.Future[bytes]) -> None:
        transfer.is_reading = False
        error = None if reading.cancelled() else reading.exception()
        if transfer.sender.outcome is not None or reading.cancelled():
            transfer.close()
            return
        if error is None:
            transfer.sender.supply(offset, reading.result())
        else:
            if self._faults.note(str(error)):
                log.error("tftp.unreadable", boot_file=printable_line(transfer.name), reason=str(error))
            transfer.sender.fail("the file can no longer be read")
        self._advance(transfer, self._loop.time())

    def _end(self, transfer: Transfer, outcome: Outcome) -> None:
        transfer.sender.end(outcome)
        if self._running.get(transfer.peer) is not transfer:
            return
        del self._running[transfer.peer]
        self._half_open.pop(transfer.peer, None)
        address = transfer.peer[0]
        self._per_client[address] -= 1
        if not self._per_client[address]:
            del self._per_client[address]
        if transfer.connection is not None:
            self._loop.remove_reader(transfer.connection)
        transfer.close()
        if not self._running:
            self.idle.set()
        seconds = self._loop.time() - transfer.started_at
        self._log(transfer, outcome, seconds)
        try:
            self._ended(transfer, seconds)
        except Exception:  # a fault of the callback must not end the drain of the others
            log.exception("tftp.failed", iface=self._interface, boot_file=printable_line(transfer.name))

    def _log(self, transfer: Transfer, outcome: Outcome, seconds: float) -> None:
        self._counters.count("tftp_transfers", interface=self._interface, outcome=outcome)
        self._counters.count("tftp_bytes", transfer.sender.bytes_sent, interface=self._interface)
        facts: dict[str, object] = {
            "iface": self._interface,
            "address": transfer.peer[0],
            "boot_file": printable_line(transfer.name),
            "bytes": transfer.sender.bytes_sent,
            "seconds": round(seconds, 3),
            "retransmissions": transfer.sender.retransmissions,
            "blksize": transfer.sender.terms.blksize,
            "windowsize": transfer.sender.terms.windowsize,
        }
        if outcome in (Outcome.TIMED_OUT, Outcome.UNCONFIRMED):
            facts["unanswered_block"] = transfer.sender.block + 1
        if error := peer_error_of(transfer.sender):
            facts["peer_error"] = error
        match outcome:
            case Outcome.SENT:
                log.info("tftp.sent", **facts)
            case Outcome.UNCONFIRMED:
                log.info("tftp.unconfirmed", **facts)
            case Outcome.CLOSED:
                log.info("tftp.aborted", reason=outcome, **facts)
            case Outcome.REFUSED_BY_PEER | Outcome.TIMED_OUT:
                log.warning("tftp.aborted", reason=outcome, **facts)
            case Outcome.UNREADABLE:
                log.error("tftp.aborted", reason=outcome, **facts)
            case Outcome.PROBED | Outcome.UNANSWERED | Outcome.REPLACED | Outcome.STOPPED:
                log.debug("tftp.aborted", reason=outcome, **facts)  # normal, or forged: nothing for an operator
            case _:
                assert_never(outcome)

    def _set_timer(self, transfer: Transfer, now: float) -> None:
        if transfer.sender.outcome is None:
            deadline = transfer.sender.deadline()
            at = now + _CHECK_EVERY_S if deadline is None else min(max(deadline, now + 0.001), now + _CHECK_EVERY_S)
            transfer.timer = self._loop.call_at(at, self._on_timer, transfer)

    def _on_timer(self, transfer: Transfer) -> None:
        """Check a transfer. An ACK moves no timer: most are only set again here."""
        now = self._loop.time()
        transfer.sender.handle_deadline(now)
        self._advance(transfer, now)
        self._set_timer(transfer, now)
