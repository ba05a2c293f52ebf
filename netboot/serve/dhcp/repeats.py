"""Questions that were answered lately, by their bytes: a machine that asks again is not read and written for again.

A firmware asks up to four times with one `xid`, and the next boot's question differs in nothing but `xid` and `secs`.
Reading a message and writing its answer are functions of the bytes alone and half of an offer's price (measured: 21 of
43 µs); the decision is made anew each time, and an answer is only used again where it is the same.
"""

from dataclasses import dataclass
from typing import Final

from netboot.model.boot.boot_client import BootClient
from netboot.model.boot.offer import Offer
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp.message import DhcpMessage, MessageType
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress

KEPT: Final = 1024  # questions on one port of one interface, about 3 KiB each
LONGEST_BYTES: Final = 1500  # of a question that is worth it


@dataclass(frozen=True, slots=True)
class Answered:
    """What a question was, and what it got."""

    client: BootClient
    offer: Offer
    server: ServerAddress
    reply: Reply

    def client_of(self, data: bytes) -> BootClient:
        """Tell who asks this time."""
        client = self.client
        return BootClient(
            client.mac,
            client.arch,
            client.protocol,
            client.stage,
            client.vendor_class,
            client.uuid,
            client.is_etherboot,
            client.has_http,
            int.from_bytes(data[4:8], "big"),
            int.from_bytes(data[8:10], "big"),
        )

    def reply_to(self, data: bytes) -> Reply:
        """Answer again: only `xid` differs."""
        written = self.reply.data
        return Reply(written[:4] + data[4:8] + written[8:], self.reply.boot_file, self.reply.left_out)


class Repeats:
    """The DISCOVERs of one door that came without a relay; the oldest is forgotten first."""

    def __init__(self) -> None:
        self._answered: dict[bytes, Answered] = {}

    def find(self, data: bytes) -> Answered | None:
        """Find what the same question got."""
        return self._answered.get(data[:4] + data[10:]) if len(data) <= LONGEST_BYTES else None

    def keep(self, data: bytes, message: DhcpMessage, answered: Answered) -> None:
        """Remember an answer, if it depends on nothing but the question.

        A relay's depends on which addresses are ours, as on port 4011 does the server that is named.
        """
        is_plain = message.message_type is MessageType.DISCOVER and message.giaddr == dhcp.NO_ADDRESS
        if not is_plain or len(data) > LONGEST_BYTES:
            return
        request = data[:4] + data[10:]
        if len(self._answered) >= KEPT and request not in self._answered:
            del self._answered[next(iter(self._answered))]
        self._answered[request] = answered
