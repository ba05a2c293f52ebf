"""Gives TFTP packets to the captures of boots: of a transfer its first and last blocks, and what was sent repeatedly.

Of DATA only the header is kept: files are large, and documents have tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from netboot.boot.records.packet_capture import PacketCapture
from netboot.model.captured_packet import CapturedPacket, Endpoint, Protocol
from netboot.model.install.token import without_tokens_in_bytes
from netboot.wire.tftp.transfer import Sender

FIRST_BLOCKS: Final = 2
REPEATED: Final = 100  # packets between the first and the last blocks, at most
_DATA: Final = b"\0\3"
_ACK: Final = b"\0\4"
_DATA_HEADER_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class CapturedTftp:
    """The packets of one interface."""

    capture: PacketCapture
    interface: str

    def record_received(self, data: bytes, machine: Endpoint, ours: Endpoint) -> None:
        """Record a packet that came now, without tokens in the name of a file."""
        at, data = self.capture.clock.now(), without_tokens_in_bytes(data)
        packet = CapturedPacket(Protocol.TFTP, at, self.interface, machine, ours, data=data, is_sent=False)
        self.capture.record_at(machine[0], packet)

    def record_sent(self, data: bytes, machine: Endpoint, ours: Endpoint) -> None:
        """Record a packet that was sent now."""
        at, kept = self.capture.clock.now(), _DATA_HEADER_BYTES if data[:2] == _DATA else None
        packet = CapturedPacket(
            Protocol.TFTP, at, self.interface, ours, machine, data=data, is_sent=True, kept_bytes=kept
        )
        self.capture.record_at(machine[0], packet)


@dataclass(slots=True)
class CapturedTransfer:
    """The packets of one transfer, between these ends."""

    captured: CapturedTftp
    machine: Endpoint
    ours: Endpoint
    _retransmissions: int = field(default=0, init=False)
    _acknowledged: int = field(default=-1, init=False)
    _repeated: int = field(default=0, init=False)

    def received(self, data: bytes, sender: Sender) -> None:
        """Record what came, after `sender` got it: all but the ACKs in the middle that acknowledge more."""
        is_repeated = sender.block == self._acknowledged
        self._acknowledged = sender.block
        is_other = data[:2] != _ACK or sender.outcome is not None or sender.block <= FIRST_BLOCKS
        if is_other or sender.has_sent_all or (is_repeated and self._is_few()):
            self.captured.record_received(data, self.machine, self.ours)

    def sent(self, datagrams: Sequence[bytes], sender: Sender) -> None:
        """Record what was sent: the first and last blocks, and a window that was sent again."""
        if not datagrams:
            return
        is_repeated = sender.retransmissions != self._retransmissions
        self._retransmissions = sender.retransmissions
        if sender.block < FIRST_BLOCKS or sender.has_sent_all or (is_repeated and self._is_few()):
            for datagram in datagrams[:1] if len(datagrams) == 1 else (datagrams[0], datagrams[-1]):  # of a window
                self.captured.record_sent(datagram, self.machine, self.ours)

    def _is_few(self) -> bool:
        self._repeated += 1
        return self._repeated <= REPEATED
