"""The receiving end of one TFTP transfer by the rules of one client; RFC 1350, 2347-2349, 7440. No socket, no clock.

Packets and expired timers go in; packets to send and the outcome come out. The first reply's port is the transfer's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from netboot.model.words import printable_line
from netboot.probe.tftp.tftp_rules import ProbeEnd, RefusalOfOack, TftpRules, UnexpectedBlock

DEFAULT_BLOCK_BYTES: Final = 512
_BLOCKS: Final = 1 << 16
_AHEAD_BLOCKS: Final = 64  # how many later blocks a client keeps: bounded memory
_TEXT_BYTES: Final = 512


class PacketType(IntEnum):
    """RFC 1350 §5, RFC 2347."""

    RRQ = 1
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class TransferEnding(StrEnum):
    """How a transfer ended."""

    COMPLETE = "complete"
    SIZE_READ = "size-read"  # a probe
    TOO_SMALL = "too-small"  # the client's buffer
    ABORTED = "aborted"  # the machine is switched off: it sends nothing any more
    REFUSED = "refused"  # ERROR of the server
    NO_REPLY = "no-reply"
    STALLED = "stalled"
    WRONG_OACK = "wrong-oack"
    NO_OACK = "no-oack"
    NO_SIZE = "no-size"


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """The end of a transfer: `error_code` and `detail` of a failure, the file's size where it is known."""

    ending: TransferEnding
    size_bytes: int | None = None
    error_code: int | None = None
    detail: str = ""


def read_request(name: str, options: tuple[tuple[str, str], ...]) -> bytes:
    """Build a read request in mode octet; bytes of the name that are not UTF-8 are surrogates in `name`."""
    fields = [name, "octet", *(field for option in options for field in option)]
    return b"\0\1" + b"".join(field.encode("utf-8", "surrogateescape") + b"\0" for field in fields)


def acknowledgement(block: int) -> bytes:
    """Build the ACK of a block."""
    return b"\0\4" + (block % _BLOCKS).to_bytes(2, "big")


def error_packet(code: int, text: str) -> bytes:
    """Build an ERROR."""
    return b"\0\5" + code.to_bytes(2, "big") + text.encode() + b"\0"


class FileReceiver:
    """One transfer. `outcome` is None until its end; then nothing is sent any more.

    `aborts_at_bytes` is where the machine is switched off. `size_bytes` is what a probe read.
    """

    def __init__(
        self,
        rules: TftpRules,
        name: str,
        deliver: Callable[[bytes], object],
        *,
        aborts_at_bytes: int | None = None,
        size_bytes: int | None = None,
    ) -> None:
        self.rules = rules
        self.outcome: TransferOutcome | None = None
        self.request = read_request(name, rules.options)
        self.received_bytes = 0
        self.announced_bytes = size_bytes  # by tsize, here or in an earlier request
        self.accepted: dict[str, int] = {}  # options of the OACK
        self.tries = 0
        self.unexpected_blocks = 0
        self._deliver = deliver
        self._aborts_at_bytes = aborts_at_bytes
        self._last_block = 0  # the number of blocks received in order, not modulo 65536
        self._acknowledged = 0  # counts received blocks, as EDK2's AckedBlock
        self._ahead: dict[int, bytes] = {}
        self._has_oack = False
        self._last_sent = self.request

    @property
    def has_begun(self) -> bool:
        """True once the server replied with an OACK or DATA."""
        return self._has_oack or self._last_block > 0

    @property
    def wait_s(self) -> float:
        """Return how long the client waits now before it repeats its last packet."""
        waits_s = self.rules.waits_s
        return waits_s[min(self.tries, len(waits_s) - 1)]

    @property
    def _block_bytes(self) -> int:
        return self.accepted.get("blksize", DEFAULT_BLOCK_BYTES)

    @property
    def _window(self) -> int:
        return self.accepted.get("windowsize", 1)

    def expire(self) -> list[bytes]:
        """Repeat the last packet when the wait is over; the last wait ends the transfer."""
        self.tries += 1
        if self.tries < len(self.rules.waits_s):
            return [self._last_sent]
        ending = TransferEnding.STALLED if self.has_begun else TransferEnding.NO_REPLY
        self._end(ending, detail=f"{self.tries} tries, {self.received_bytes} bytes received")
        return []

    def receive(self, packet: bytes) -> list[bytes]:
        """Process a packet of the server; return the packets to send."""
        if self.outcome is not None or len(packet) < 4:
            return []
        opcode, number = packet[1] if packet[0] == 0 else 0, packet[2] << 8 | packet[3]
        if opcode == PacketType.DATA:
            return self._receive_data(number, packet[4:])
        if opcode == PacketType.OACK:
            return self._receive_oack(packet[2:])
        if opcode == PacketType.ERROR:
            text = packet[4 : 4 + _TEXT_BYTES].partition(b"\0")[0].decode("ascii", "replace")
            self._end(TransferEnding.REFUSED, error_code=number, detail=printable_line(text))
        return []

    def _receive_oack(self, fields: bytes) -> list[bytes]:
        if self._last_block > 0:
            return []
        try:
            accepted = dict(_options(fields))
        except ValueError as error:
            return self._refuse_oack(str(error))
        requested = dict(self.rules.options)
        if (wrong := self._wrong_option(accepted, requested)) is not None:
            return self._refuse_oack(wrong)
        self._has_oack = True
        self.accepted = {name: value for name, value in accepted.items() if name in requested}
        self.announced_bytes = self.accepted.get("tsize", self.announced_bytes)
        if self.rules.is_probe:
            return self._end_probe()
        return self._send(acknowledgement(0))

    def _wrong_option(self, accepted: dict[str, int], requested: dict[str, str]) -> str | None:
        """Name the option for which the client refuses the OACK. A block size of 0 stops every client."""
        if accepted.get("blksize", 1) < 1 or accepted.get("windowsize", 1) < 1:
            return "the OACK has a block or window size of 0"
        if self.rules.refuses is RefusalOfOack.NONE:
            return None
        is_strict = self.rules.refuses is RefusalOfOack.EXTRA_OR_LARGER
        for name, value in accepted.items():
            if name not in requested:
                if is_strict:
                    return f"the OACK has {name}, which was not requested"
            elif name in ("blksize", "windowsize") and value > int(requested[name]):
                return f"the OACK has {name} {value}, larger than {requested[name]}, which was requested"
            elif name == "timeout" and value != int(requested[name]):
                return f"the OACK has timeout {value} instead of {requested[name]}"
        return None

    def _refuse_oack(self, detail: str) -> list[bytes]:
        self._end(TransferEnding.WRONG_OACK, detail=detail)
        is_named = self.rules.refuses is RefusalOfOack.EXTRA_OR_LARGER
        return [error_packet(4 if is_named else 8, "Malformed OACK packet" if is_named else "Wrong option")]

    def _end_probe(self) -> list[bytes]:
        if self.announced_bytes is None and self.rules.needs_oack:
            self._end(TransferEnding.NO_SIZE, detail="the OACK has no tsize, which was requested")
        else:
            self._end(TransferEnding.SIZE_READ)
        if self.rules.ends_with is ProbeEnd.ERROR_8:
            return [error_packet(8, "User aborted the transfer")]
        return [error_packet(0, "TFTP Aborted")]

    def _receive_data(self, number: int, data: bytes) -> list[bytes]:
        if self.rules.needs_oack and not self._has_oack:
            self._end(TransferEnding.NO_OACK, detail="the server sent DATA, although options were requested")
            return [error_packet(8, "User aborted the transfer")] if self.rules.is_probe else []
        if self.rules.is_probe:  # the ROM does without the size
            self._end(TransferEnding.SIZE_READ)
            return [error_packet(0, "TFTP Aborted")]
        if len(data) > self._block_bytes:
            return []
        if number != (self._last_block + 1) % _BLOCKS:
            return self._receive_unexpected(number, data)
        self._accept(data)
        while (
            self._ahead and self.outcome is None and (later := self._ahead.pop(self._last_block + 1, None)) is not None
        ):
            self._accept(later)
        return self._reply_to_block()

    def _receive_unexpected(self, number: int, data: bytes) -> list[bytes]:
        self.unexpected_blocks += 1
        distance = (number - self._last_block) % _BLOCKS
        is_later = 0 < distance < _BLOCKS // 2
        match self.rules.unexpected:
            case UnexpectedBlock.ACK_LAST:
                self._acknowledged = self._last_block
                return self._send(acknowledgement(self._last_block))
            case UnexpectedBlock.ACK_REPEATED:
                return [] if is_later else [acknowledgement(number)]
            case UnexpectedBlock.KEEP:
                if is_later and len(self._ahead) < _AHEAD_BLOCKS:
                    self._ahead[self._last_block + distance] = data
                return self._send(acknowledgement(self._last_block))
            case UnexpectedBlock.IGNORE:
                return []

    def _accept(self, data: bytes) -> None:
        self._last_block += 1
        self.received_bytes += len(data)
        self.tries = 0
        self._deliver(data)
        if len(data) < self._block_bytes:
            self._end(TransferEnding.COMPLETE)

    def _reply_to_block(self) -> list[bytes]:
        if self._is_beyond_buffer:
            self._end(TransferEnding.TOO_SMALL)
            return [error_packet(3, "User provided memory block is too small")]
        if self.outcome is not None:
            return [acknowledgement(self._last_block)]
        if self._aborts_now:
            self._end(TransferEnding.ABORTED)
            return []
        if self._last_block - self._acknowledged >= self._window:
            self._acknowledged = self._last_block
            return self._send(acknowledgement(self._last_block))
        return []

    @property
    def _is_beyond_buffer(self) -> bool:
        limit = self.rules.buffer_bytes
        return self.outcome is not None and limit is not None and self.received_bytes > limit

    @property
    def _aborts_now(self) -> bool:
        return self._aborts_at_bytes is not None and self.received_bytes >= self._aborts_at_bytes

    def _send(self, packet: bytes) -> list[bytes]:
        self._last_sent = packet
        return [packet]

    def _end(self, ending: TransferEnding, *, error_code: int | None = None, detail: str = "") -> None:
        size_bytes = self.received_bytes if ending is TransferEnding.COMPLETE else self.announced_bytes
        if ending is TransferEnding.TOO_SMALL:
            size_bytes = self.received_bytes
        self.outcome = TransferOutcome(ending, size_bytes, error_code, detail)
        self._ahead.clear()


def _options(fields: bytes) -> Iterator[tuple[str, int]]:
    """Read the options of an OACK; the values of all that we request are numbers."""
    if not fields.endswith(b"\0"):
        raise ValueError("the OACK does not end with a zero byte")
    texts = [printable_line(field.decode("ascii", "replace")) for field in fields[:-1].split(b"\0")]
    if len(texts) % 2:
        raise ValueError("the OACK has an option without a value")
    for name, value in zip(texts[::2], texts[1::2], strict=True):
        if not value.isdecimal() or len(value) > 20:
            raise ValueError(f"the OACK has {name} with the value {value!r}")
        yield name.lower(), int(value)
