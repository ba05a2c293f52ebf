"""Write the answer of the LAN's only DHCP server: the lease, and the boot options of `wire.dhcp.pxe_reply`.

The table `FORMS` lists the fields and options of each kind of reply. Lease and boot options are in one reply, because
EDK2 prefers an offer with a lease, PXEClient and option 43 to all others. A client that requests no boot gets only the
lease. Decides nothing.

RFC 2131 §4.3.1 with table 3 (fields and options), §4.1 (where to) · RFC 2132 §3.3 (mask before routers), §9 ·
RFC 3046 §2.2 (82 comes back as it came) · RFC 6842 (so does 61).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from netboot.model.boot.boot_client import BootClient
from netboot.model.boot.offer import Offer
from netboot.model.lease import LeaseTerms
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp.lease_request import link_selection, selected_subnet
from netboot.wire.dhcp.message import DhcpMessage, MessageType, Option
from netboot.wire.dhcp.pxe import DropReason
from netboot.wire.dhcp.pxe_reply import LONGEST_OPTION, Reply, ServerAddress, boot_answer, written

_ROUTERS_AND_SERVERS: Final = 8  # of each kind, at most: 32 bytes


class LeaseAnswer(StrEnum):
    """What a client gets about its lease."""

    OFFER = "offer"
    ACK = "ack"
    INFORM_ACK = "inform-ack"
    NAK = "nak"


@dataclass(frozen=True, slots=True)
class Form:
    """Which fields and options an answer has; each field is named after what it writes."""

    option_53: MessageType
    yiaddr: bool  # with 51, 58 and 59
    ciaddr: bool  # as it came
    network: bool  # 1, 3, 6, 12, 15, 28, 42
    boot: bool  # siaddr, file, 60, 97, 43, 175, 67


# fmt: off
FORMS: Final[Mapping[LeaseAnswer, Form]] = {
    # answer                       53                 yiaddr  ciaddr  network boot
    LeaseAnswer.OFFER:      Form(MessageType.OFFER, True,   False,  True,   True),
    LeaseAnswer.ACK:        Form(MessageType.ACK,   True,   True,   True,   True),
    LeaseAnswer.INFORM_ACK: Form(MessageType.ACK,   False,  True,   True,   True),
    LeaseAnswer.NAK:        Form(MessageType.NAK,   False,  False,  False,  False),
}
# fmt: on


def lease_reply(
    message: DhcpMessage,
    answer: LeaseAnswer,
    terms: LeaseTerms,
    server: ServerAddress,
    *,
    boot: tuple[BootClient, Offer] | None,
) -> Reply:
    """Write an OFFER or ACK; `boot` is what the firmware is offered beside the lease, if it requested a boot."""
    form = FORMS[answer]
    base: DhcpMessage | DropReason = DropReason.NOT_A_BOOT_CLIENT
    if boot is not None and form.boot:
        base = boot_answer(message, *boot, server, kind=form.option_53)
    if isinstance(base, DropReason):
        base = _plain(message, server.address, kind=form.option_53)
    leased = replace(
        base,
        yiaddr=terms.address if form.yiaddr and terms.address is not None else dhcp.NO_ADDRESS,
        ciaddr=message.ciaddr if form.ciaddr else dhcp.NO_ADDRESS,
        options=_after_the_server(base.options, {**_lease_options(terms), **_subnet_selection(message)}),
    )
    return written(message, leased, server)


def nak_reply(message: DhcpMessage, reason: str, server: ServerAddress) -> Reply:
    """Write a NAK: no address anywhere, and a relay has to broadcast it (RFC 2131 §4.3.2)."""
    plain = _plain(message, server.address, kind=MessageType.NAK)
    options = _after_the_server(plain.options, {Option.MESSAGE: reason.encode()})
    flags = message.flags | dhcp.BROADCAST_FLAG if message.giaddr != dhcp.NO_ADDRESS else message.flags
    return written(message, replace(plain, flags=flags, options=options), server)


def lease_reply_address(message: DhcpMessage, answer: LeaseAnswer) -> tuple[str, int]:
    """Return where a reply goes: to the relay; to the address that a client holds; else broadcast.

    A `ciaddr` in a DISCOVER is invalid, a NAK denies that the client holds it: nothing is sent there. In place of
    the unicast to an address that is only now given, which would want an ARP entry, everybody hears it.
    """
    holds_one = answer in (LeaseAnswer.ACK, LeaseAnswer.INFORM_ACK) and message.ciaddr != dhcp.NO_ADDRESS
    if message.giaddr == dhcp.NO_ADDRESS and holds_one:
        return str(message.ciaddr), dhcp.CLIENT_PORT
    return dhcp.reply_address(message)


def _plain(message: DhcpMessage, server: IPv4Address, *, kind: MessageType) -> DhcpMessage:
    options: dict[int, bytes] = {Option.MESSAGE_TYPE: bytes((kind,)), Option.SERVER_ID: server.packed}
    client_id = message.options.get(Option.CLIENT_ID, b"")
    if 2 <= len(client_id) <= LONGEST_OPTION:
        options[Option.CLIENT_ID] = client_id
    relay = message.options.get(Option.RELAY_INFORMATION, b"")
    if 1 <= len(relay) <= LONGEST_OPTION:
        options[Option.RELAY_INFORMATION] = relay
    return DhcpMessage(
        op=dhcp.REPLY,
        htype=message.htype,
        hlen=message.hlen,
        xid=message.xid,
        flags=message.flags,
        giaddr=message.giaddr,
        chaddr=message.chaddr,
        options=options,
    )


def _after_the_server(options: Mapping[int, bytes], added: Mapping[int, bytes]) -> dict[int, bytes]:
    """Put options behind 53 and 54, which come first, and before all others, since 67 and 82 come last."""
    first = {int(code): options[code] for code in (Option.MESSAGE_TYPE, Option.SERVER_ID)}
    return {**first, **added, **options}


def _subnet_selection(message: DhcpMessage) -> dict[int, bytes]:
    """Return option 118 where it was used, so that its sender knows (RFC 3011 §3); 82.5 goes back within 82."""
    is_obeyed = selected_subnet(message) is not None and link_selection(message) is None
    return {Option.SUBNET_SELECTION: message.options[Option.SUBNET_SELECTION]} if is_obeyed else {}


def _lease_options(terms: LeaseTerms) -> dict[int, bytes]:
    """Order a lease's options; times are T1 = 0.5 and T2 = 0.875 of the lease (RFC 2131 §4.4.5)."""
    options: dict[int, bytes] = {}
    if terms.address is not None:
        options[Option.LEASE_TIME] = terms.lease_s.to_bytes(4, "big")
        options[Option.RENEWAL_TIME] = (terms.lease_s // 2).to_bytes(4, "big")
        options[Option.REBINDING_TIME] = (terms.lease_s * 7 // 8).to_bytes(4, "big")
    options[Option.SUBNET_MASK] = terms.network.netmask.packed
    if terms.router is not None:
        options[Option.ROUTERS] = terms.router.packed
    if terms.nameservers:
        options[Option.NAME_SERVERS] = b"".join(each.packed for each in terms.nameservers[:_ROUTERS_AND_SERVERS])
    if terms.host_name:
        options[Option.HOST_NAME] = terms.host_name.encode()
    if terms.domain:
        options[Option.DOMAIN_NAME] = terms.domain.encode()
    options[Option.BROADCAST_ADDRESS] = terms.network.broadcast_address.packed
    if terms.ntp_servers:
        options[Option.NTP_SERVERS] = b"".join(each.packed for each in terms.ntp_servers[:_ROUTERS_AND_SERVERS])
    return options
