"""Gives the DHCP messages of one port on one interface to the captures of their machines' boots."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from netboot.boot.records.packet_capture import PacketCapture
from netboot.model.captured_packet import CapturedPacket, Protocol
from netboot.model.host.mac import Mac
from netboot.model.install.token import without_tokens_in_bytes
from netboot.serve.net.udp import Address, Datagram


@dataclass(frozen=True, slots=True)
class CapturedDhcp:
    capture: PacketCapture
    interface: str
    port: int

    def now(self) -> datetime:
        return self.capture.clock.now()

    def request(self, datagram: Datagram, at: datetime) -> CapturedPacket:
        """Return a message that came at this time."""
        destination = datagram.destination, self.port
        return CapturedPacket(
            Protocol.DHCP, at, self.interface, datagram.source, destination, data=datagram.data, is_sent=False
        )

    def reply(self, data: bytes, to: Address, source: str) -> CapturedPacket:
        """Return a reply that was sent now from one of our addresses."""
        ours = source, self.port
        return CapturedPacket(Protocol.DHCP, self.now(), self.interface, ours, to, data=data, is_sent=True)

    def record(self, packets: Iterable[tuple[Mac | None, CapturedPacket]], number: int) -> None:
        """Record messages of network cards, `number` at most, without those of unknown ones."""
        self.capture.record_of_cards(_of_known_cards(packets), number)


def _of_known_cards(packets: Iterable[tuple[Mac | None, CapturedPacket]]) -> Iterator[tuple[Mac, CapturedPacket]]:
    """Give the messages of known cards, without tokens that a machine sent in an option, which a reply may repeat."""
    for mac, packet in packets:
        if mac is not None:
            yield mac, packet._replace(data=without_tokens_in_bytes(packet.data))
