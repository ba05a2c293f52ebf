"""The running TFTP transfers of one interface: their sockets, their one timer, their limits, and how each ends.

Must never run a task per transfer, and never let forged requests take the place of machines that answer:
transfers without a first ACK are few, and the oldest of them makes room.
"""

import asyncio
import heapq
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count
from typing import Final, Protocol

import structlog

from netboot.content.bootfile_cache import LargeFile
from netboot.proto import tftp
from netboot.proto.tftp import ErrorCode, ReadRequest, Terms, printable
from netboot.proto.tftp_transfer import Outcome, Sender

log = structlog.get_logger(__name__)

Peer = tuple[str, int]  # address and port, as a socket gives them

_DATAGRAMS_PER_TURN: Final = 8  # of one transfer, before the others have theirs
_LONGEST_FROM_PEER: Final = 2048
_LATE_DUPLICATE_S: Final = 1.0  # a request that comes again in mid-transfer so soon is an echo
_LOOK_EVERY_S: Final = 1.0  # at each transfer: a machine may ask for a timeout of 255 s, and its end frees memory
_STRANGER: Final = tftp.build(tftp.Error(ErrorCode.UNKNOWN_TRANSFER_ID, "unknown transfer"))

_EVENTS: Final = {
    Outcome.SENT: ("info", "tftp.sent"),
    Outcome.UNCONFIRMED: ("info", "tftp.unconfirmed"),
    Outcome.CLOSED: ("info", "tftp.aborted"),
    Outcome.REFUSED_BY_PEER: ("warning", "tftp.aborted"),
    Outcome.TIMED_OUT: ("warning", "tftp.aborted"),
    Outcome.UNREADABLE: ("error", "tftp.aborted"),
}  # the others say nothing that an operator needs: debug, tftp.aborted


class Counters(Protocol):
    """Where a door counts."""

    def count(self, name: str, **labels: str) -> None:
        """Add one."""


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """How many transfers one interface serves at once. `half_open`: without a first ACK."""

    total: int = 512
    per_client: int = 64
    half_open: int = 256
    half_open_per_client: int = 64


DEFAULT_LIMITS: Final = TransferLimits()


class Transfer:
    """One read with its way out. `connection` is its own socket; None where all share the server's."""

    __slots__ = (
        "connection", "file", "is_half_open", "is_reading", "last_heard_at", "name", "peer", "request", "send",
        "sender", "started_at", "terms",
    )  # fmt: skip

    def __init__(self, peer: Peer, request: ReadRequest, *, terms: Terms, sender: Sender, now: float) -> None:
        self.peer = peer
        self.request = request
        self.name = printable(request.name)
        self.terms = terms
        self.sender = sender
        self.send: Callable[[bytes], object]
        self.connection: socket.socket | None = None
        self.file: LargeFile | None = None
        self.is_reading = False  # a piece of the file is on its way from the disk
        self.is_half_open = True
        self.started_at = self.last_heard_at = now


class Transfers:
    """All transfers of one interface, keyed by the machine's address and port."""

    def __init__(
        self,
        interface: str,
        *,
        limits: TransferLimits,
        counters: Counters,
        read_piece: Callable[[Transfer, int, int], None],
        ended: Callable[[Transfer, float], None],
    ) -> None:
        self._interface = interface
        self._limits = limits
        self._counters = counters
        self._read_piece = read_piece  # brings file bytes to `supply`
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._running: dict[Peer, Transfer] = {}
        self._half_open: dict[Peer, Transfer] = {}  # oldest first
        self._per_client: Counter[str] = Counter()
        self._due: list[tuple[float, int, Transfer]] = []
        self._serial = count()
        self._timer: asyncio.TimerHandle | None = None
        self.idle = asyncio.Event()
        self.idle.set()

    def __len__(self) -> int:
        return len(self._running)

    def get(self, peer: Peer) -> Transfer | None:
        """Find the transfer of one machine's port."""
        return self._running.get(peer)

    def takes_repeat(self, peer: Peer, request: ReadRequest) -> bool:
        """Answer a repeated request from the transfer that it began; make way where the machine began anew."""
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

    def make_room(self, address: str) -> str | None:
        """Make room for one more of this client; the reason where there is none: the machine will ask again."""
        limits = self._limits
        if len(self._half_open) >= limits.half_open_per_client:
            of_client = [transfer for peer, transfer in self._half_open.items() if peer[0] == address]
            if len(of_client) >= limits.half_open_per_client:
                self._end(of_client[0], Outcome.REPLACED)
        if len(self._half_open) >= limits.half_open:
            self._end(next(iter(self._half_open.values())), Outcome.REPLACED)
        if self._per_client[address] >= limits.per_client:
            return "client-limit"
        return "total-limit" if len(self._running) >= limits.total else None

    def begin(self, transfer: Transfer) -> None:
        """Send the first answer and follow the transfer to its end."""
        self._running[transfer.peer] = self._half_open[transfer.peer] = transfer
        self._per_client[transfer.peer[0]] += 1
        self.idle.clear()
        if transfer.connection is not None:
            self._loop.add_reader(transfer.connection, self._on_readable, transfer)
        now = self._loop.time()
        self._advance(transfer, now)
        self._look_again(transfer, now)
        self._set_timer()

    def receive(self, transfer: Transfer, datagram: bytes, now: float) -> None:
        """Take one datagram of the transfer's own peer."""
        transfer.sender.receive_datagram(datagram, now)
        transfer.last_heard_at = now
        if transfer.is_half_open and transfer.sender.is_answered:
            transfer.is_half_open = False
            self._half_open.pop(transfer.peer, None)
        self._advance(transfer, now)

    def supply(self, transfer: Transfer, offset: int, content: bytes) -> None:
        """Hand over a piece of the file that `read_piece` was asked for."""
        transfer.is_reading = False
        transfer.sender.supply(offset, content)
        self._advance(transfer, self._loop.time())

    def fail(self, transfer: Transfer, message: str) -> None:
        """End a transfer whose file cannot be read."""
        transfer.is_reading = False
        transfer.sender.fail(message)
        self._advance(transfer, self._loop.time())

    def close(self) -> None:
        """End every transfer without a word."""
        for transfer in list(self._running.values()):
            self._end(transfer, Outcome.STOPPED)
        if self._timer is not None:
            self._timer.cancel()

    def _on_readable(self, transfer: Transfer) -> None:
        connection = transfer.connection
        assert connection is not None
        for _ in range(_DATAGRAMS_PER_TURN):
            try:
                datagram, peer = connection.recvfrom(_LONGEST_FROM_PEER)
            except OSError:  # nothing more now
                return
            if peer == transfer.peer:
                self.receive(transfer, datagram, self._loop.time())
                if transfer.sender.outcome is not None:
                    return
            else:
                self._answer_stranger(connection, peer, datagram)

    def _answer_stranger(self, connection: socket.socket, peer: Peer, datagram: bytes) -> None:
        self._counters.count("tftp_strangers", interface=self._interface)
        if datagram[:2] == b"\0\5":  # an ERROR is never answered
            return
        try:
            connection.sendto(_STRANGER, peer)
        except OSError:
            self._counters.count("tftp_send_failures", interface=self._interface)

    def _advance(self, transfer: Transfer, now: float) -> None:
        """Send what is due; then end, or see to more of the file."""
        sender = transfer.sender
        try:
            for datagram in sender.datagrams_to_send(now):
                transfer.send(datagram)
        except OSError:  # as if lost on the way: the timer sends it again
            self._counters.count("tftp_send_failures", interface=self._interface)
        if sender.outcome is not None:
            self._end(transfer, sender.outcome)
        elif transfer.file is not None and not transfer.is_reading and (wanted := sender.wanted()) is not None:
            transfer.is_reading = True
            self._read_piece(transfer, *wanted)

    def _end(self, transfer: Transfer, outcome: Outcome) -> None:
        transfer.sender.stop(outcome)
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
            transfer.connection.close()
        if not self._running:
            self.idle.set()
        seconds = self._loop.time() - transfer.started_at
        self._tell(transfer, outcome, seconds)
        try:
            self._ended(transfer, seconds)
        except Exception:  # who listens must not stop the others' timer
            log.exception("tftp.failed", iface=self._interface, boot_file=transfer.name)

    def _tell(self, transfer: Transfer, outcome: Outcome, seconds: float) -> None:
        self._counters.count("tftp_transfers", interface=self._interface, outcome=outcome)
        level, event = _EVENTS.get(outcome, ("debug", "tftp.aborted"))
        facts: dict[str, object] = {} if outcome is Outcome.SENT else {"reason": outcome}
        if outcome in (Outcome.TIMED_OUT, Outcome.UNCONFIRMED):
            facts["unanswered_block"] = transfer.sender.block + 1
        if (error := transfer.sender.peer_error) is not None:
            facts["peer_error"] = f"{error.code} {printable(error.message)}".strip()
        getattr(log, level)(
            event,
            iface=self._interface,
            address=str(IPv4Address(transfer.peer[0])),
            boot_file=transfer.name,
            bytes=transfer.sender.bytes_sent,
            seconds=round(seconds, 3),
            retransmissions=transfer.sender.retransmissions,
            blksize=transfer.terms.blksize,
            windowsize=transfer.terms.windowsize,
            **facts,
        )

    def _set_timer(self) -> None:
        if self._due and (self._timer is None or self._due[0][0] < self._timer.when()):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._due[0][0], self._on_timer)

    def _on_timer(self) -> None:
        """Look at the transfers whose time has come. An ACK moves no timer: most are only put off here."""
        self._timer = None
        now = self._loop.time()
        while self._due and self._due[0][0] <= now:
            transfer = heapq.heappop(self._due)[2]
            if transfer.sender.outcome is not None:
                continue
            transfer.sender.handle_deadline(now)
            self._advance(transfer, now)
            self._look_again(transfer, now)
        self._set_timer()

    def _look_again(self, transfer: Transfer, now: float) -> None:
        if transfer.sender.outcome is None:
            deadline = transfer.sender.deadline()
            at = now + _LOOK_EVERY_S if deadline is None else min(max(deadline, now + 0.001), now + _LOOK_EVERY_S)
            heapq.heappush(self._due, (at, next(self._serial), transfer))
