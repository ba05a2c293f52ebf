"""One TFTP read, from the first answer to the last ACK (RFC 1350, 2347-2349, 7440; RFC 1123 §4.2.3).

No socket, clock or file: the caller passes datagrams, the time and the file's bytes, and sends the results.
Must never answer a repeated or older ACK: that would double every later datagram (Sorcerer's Apprentice Syndrome).

Blocks are counted here without wrapping: 0 is the OACK, 1 the first DATA; on the wire 65,535 is followed by 0.
"""

from enum import StrEnum
from struct import Struct
from typing import Final

from netboot.wire.tftp import packet as tftp
from netboot.wire.tftp.packet import ErrorCode, Opcode, Terms

_HEADER: Final = Struct("!HH").pack
_ACK: Final = b"\0\4"
_ERROR: Final = b"\0\5"

FIRST_TIMEOUT_S: Final = 1.0
LONGEST_TIMEOUT_S: Final = 8.0
SHORTEST_TIMEOUT_S: Final = 0.2
TRUSTED_ROUND_TRIPS: Final = 16  # before this number was measured, no resend comes before FIRST_TIMEOUT_S
TRIES: Final = 6
TRIES_BEFORE_FIRST_ACK: Final = 3  # limits the bytes that a forged request can cause
LOW_WATER_BYTES: Final = 1 << 20


class Outcome(StrEnum):
    """How a transfer ended; the same word in log and metric."""

    SENT = "sent"  # the last block was acknowledged
    UNCONFIRMED = "unconfirmed"  # everything was sent; the last ACK is missing, as in many complete reads
    PROBED = "probed"  # only the size was requested: EDK2 does so before it reads, and ends that with ERROR 8
    CLOSED = "closed"  # the machine sent an ERROR: it needs no more (GRUB) or its buffer is too small
    REFUSED_BY_PEER = "refused-by-peer"  # any other ERROR
    TIMED_OUT = "timed-out"  # ACKs stopped coming
    UNANSWERED = "unanswered"  # not one ACK came
    REPLACED = "replaced"  # the machine began another read from the same port, or the limit was reached
    UNREADABLE = "unreadable"  # our file was removed or became shorter
    STOPPED = "stopped"  # the server ends


class Sender:
    """One read. All times are seconds on the caller's monotonic clock."""

    def __init__(self, terms: Terms, size_bytes: int) -> None:
        self.outcome: Outcome | None = None  # set: nothing more is sent but the last ERROR of `fail`
        self.peer_error: tftp.Error | None = None
        self.retransmissions = 0
        self.terms = terms
        self._blksize = terms.blksize
        self._size = size_bytes
        self._last = size_bytes // terms.blksize + 1  # a full last block is followed by an empty one
        self._buffer = b""
        self._base = 0  # where in the file the buffer begins
        self._next = 0 if terms.acknowledged else 1
        self._acked = self._next - 1
        self._highest = self._acked  # the last block ever sent
        self._deadline: float | None = None
        self._tries = 0
        self._error_due: bytes | None = None
        self._rtt = self._rtt_spread = 0.0
        self._rtt_samples = 0
        self._timed_block = -1
        self._timed_at = 0.0

    @property
    def is_answered(self) -> bool:
        """The peer acknowledged something: it is not a forged request."""
        return self._acked >= (1 if not self.terms.acknowledged else 0)

    @property
    def is_beginning(self) -> bool:
        """No DATA was acknowledged yet: a repeated request gets the first answer again."""
        return self._acked <= 0

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        return self._size

    @property
    def has_sent_all(self) -> bool:
        """The last block was sent."""
        return self._highest == self._last

    @property
    def bytes_sent(self) -> int:
        """How much of the file the peer acknowledged, or everything where only its last ACK is missing."""
        if self.outcome is Outcome.UNCONFIRMED:
            return self._size
        return min(max(self._acked, 0) * self._blksize, self._size)

    @property
    def block(self) -> int:
        """The last acknowledged block, for the log of a transfer that timed out."""
        return max(self._acked, 0)

    def wanted(self) -> tuple[int, int] | None:
        """Return which bytes of the file to supply next, as offset and length; None while enough are present."""
        held_to = self._base + len(self._buffer)
        if held_to >= self._size or self.outcome is not None:
            return None
        offset = max(self._acked, 0) * self._blksize
        low_water = max(LOW_WATER_BYTES, 2 * self.terms.windowsize * self._blksize)
        if held_to - offset >= low_water:
            return None
        return offset, min(4 * low_water, self._size - offset)

    def supply(self, offset: int, content: bytes) -> None:
        """Replace the supplied bytes by the file's bytes from `offset` on."""
        self._base, self._buffer = offset, content

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Process a datagram of this transfer's peer; ignore all but ACK and ERROR."""
        if self.outcome is not None or len(data) < 4:
            return
        if data[:2] == _ACK:
            self._acknowledge(data[2] << 8 | data[3], now)
        elif data[:2] == _ERROR:
            self._end_by_peer(data)

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return what is due: the rest of the window as far as the file's bytes are here, or a last ERROR."""
        if self._error_due is not None:
            due, self._error_due = [self._error_due], None
            return due
        if self.outcome is not None:
            return []
        datagrams = []
        end = 0 if self._acked < 0 else min(self._acked + self.terms.windowsize, self._last)
        while self._next <= end and (datagram := self._datagram(self._next)) is not None:
            datagrams.append(datagram)
            if self._next <= self._highest:
                self.retransmissions += 1
                self._timed_block = -1  # an ACK now is not a measure of the round trip (Karn)
            else:
                self._highest = self._timed_block = self._next
                self._timed_at = now
            self._next += 1
        if datagrams:
            self._deadline = now + self._timeout()
        return datagrams

    def deadline(self) -> float | None:
        """Return when `handle_deadline` is due; None when done, or while the caller has to supply bytes."""
        return self._deadline if self.outcome is None else None

    def handle_deadline(self, now: float) -> None:
        """Send again from the block after the last ACK, or give up after the last try."""
        if self.outcome is not None or self._deadline is None or now < self._deadline:
            return
        self._tries += 1
        if self._tries >= (TRIES if self.is_answered else TRIES_BEFORE_FIRST_ACK):
            ended = Outcome.UNCONFIRMED if self.has_sent_all else Outcome.TIMED_OUT
            self.end(ended if self.is_answered else Outcome.UNANSWERED)
            return
        self._next = self._acked + 1

    def repeat_first_answer(self) -> None:
        """Answer a repeated request with the OACK or the first window again; no more once DATA was acknowledged."""
        if self.is_beginning:
            self._next = self._acked + 1

    def fail(self, message: str) -> None:
        """End with an ERROR, because the file cannot be read."""
        self.end(Outcome.UNREADABLE)
        self._error_due = tftp.error(ErrorCode.NOT_DEFINED, message)

    def end(self, outcome: Outcome) -> None:
        """End without an ERROR; a transfer that ended keeps its outcome."""
        if self.outcome is None:
            self.outcome = outcome
            self._deadline = None
            self._buffer = b""

    def _acknowledge(self, number: int, now: float) -> None:
        ahead = (number - self._acked) & 0xFFFF
        if not 0 < ahead <= self._highest - self._acked:  # repeated, older, or never sent
            return
        self._acked += ahead
        if self._acked == self._timed_block:
            self._time_round_trip(now - self._timed_at)
        if self._acked == self._last:
            self.end(Outcome.SENT)
            return
        self._next = self._acked + 1  # inside a window: what lies behind it was lost
        self._tries = 0
        self._deadline = None  # set again by what is sent now

    def _datagram(self, block: int) -> bytes | None:
        if block == 0:
            return tftp.option_ack(self.terms.acknowledged)
        offset = (block - 1) * self._blksize
        start = offset - self._base
        payload = self._buffer[start : start + self._blksize] if start >= 0 else b""
        if len(payload) < self._blksize and offset + len(payload) != self._size:
            return None  # not supplied yet
        return _HEADER(Opcode.DATA, block & 0xFFFF) + payload

    def _timeout(self) -> float:
        """The negotiated timeout, else one from the measured round trips (RFC 6298), doubled after each timeout."""
        if self.terms.timeout_s is not None:
            base = float(self.terms.timeout_s)
        else:
            floor = SHORTEST_TIMEOUT_S if self._rtt_samples >= TRUSTED_ROUND_TRIPS else FIRST_TIMEOUT_S
            base = max(floor, self._rtt + 4 * self._rtt_spread)
        return min(base * (1 << self._tries), max(LONGEST_TIMEOUT_S, base))

    def _time_round_trip(self, sample: float) -> None:
        if self._rtt_samples == 0:
            self._rtt, self._rtt_spread = sample, sample / 2
        else:
            self._rtt_spread += (abs(sample - self._rtt) - self._rtt_spread) / 4
            self._rtt += (sample - self._rtt) / 8
        self._rtt_samples += 1

    def _end_by_peer(self, data: bytes) -> None:
        error = tftp.parse(data)
        assert isinstance(error, tftp.Error)
        self.peer_error = error
        match error.code:
            case ErrorCode.OPTION_REFUSED:
                self.end(Outcome.PROBED)
            case ErrorCode.NOT_DEFINED:
                self.end(Outcome.CLOSED if self.is_answered else Outcome.PROBED)
            case ErrorCode.DISK_FULL:
                self.end(Outcome.CLOSED)
            case _:
                self.end(Outcome.REFUSED_BY_PEER)
