"""Write the answer of the LAN's only DHCP server: the lease, and the boot options of `wire.dhcp.pxe_reply`.

Lease and boot options are in one reply, because EDK2 prefers an offer with a lease, PXEClient and option 43 to all
others. A client that requests no boot gets only the lease. Decides nothing.

RFC 2131 §4.3.1 with table 3 (fields and options), §4.1 (where to) · RFC 2132 §3.3 (mask before routers), §9 ·
RFC 3046 §2.2 (82 comes back as it came) · RFC 6842 (so does 61).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress, boot_answer, reply_to, returned, written

_SERVERS: Final = 8  # maximum number of each kind: 32 bytes


class LeaseAnswer(StrEnum):
    """What a client gets about its lease."""

    OFFER = "offer"
    ACK = "ack"
    INFORM_ACK = "inform-ack"
    NAK = "nak"


def lease_reply(
    message: DhcpMessage,
    answer: LeaseAnswer,
    terms: LeaseTerms,
    server: ServerAddress,
    *,
    boot: tuple[BootClient, Offer] | None,
) -> Reply:
    """Write an OFFER or ACK; `boot` is what the firmware is offered beside the lease, if it requested a boot."""
    kind = MessageType.OFFER if answer is LeaseAnswer.OFFER else MessageType.ACK
    base = DropReason.NOT_A_BOOT_CLIENT if boot is None else boot_answer(message, *boot, server, kind=kind)
    if isinstance(base, DropReason):
        base = _plain(message, server.address, kind=kind)
    leased = replace(
        base,
        yiaddr=terms.address or dhcp.NO_ADDRESS,
        ciaddr=dhcp.NO_ADDRESS if kind is MessageType.OFFER else message.ciaddr,
        options=_after_the_server(base.options, {**_lease_options(terms), **_subnet_selection(message)}),
    )
    return written(message, leased, server)


def nak_reply(message: DhcpMessage, reason: str, server: ServerAddress) -> Reply:
    """Write a NAK: no address anywhere, and a relay has to broadcast it (RFC 2131 §4.3.2)."""
    plain = _plain(message, server.address, kind=MessageType.NAK)
    options = _after_the_server(plain.options, {Option.MESSAGE: reason.encode()})
    flags = message.flags | dhcp.BROADCAST_FLAG if message.is_relayed else message.flags
    return written(message, replace(plain, flags=flags, options=options), server)


def lease_reply_address(message: DhcpMessage, answer: LeaseAnswer) -> tuple[str, int]:
    """Return where a reply goes: to the relay; to the address that a client holds; else broadcast.

    A `ciaddr` in a DISCOVER is invalid, a NAK denies that the client holds it: nothing is sent there. In place of
    the unicast to an address that is only now given, which would need an ARP entry, there is a broadcast.
    """
    holds_one = answer in (LeaseAnswer.ACK, LeaseAnswer.INFORM_ACK) and message.ciaddr != dhcp.NO_ADDRESS
    if not message.is_relayed and holds_one:
        return str(message.ciaddr), dhcp.CLIENT_PORT
    return dhcp.reply_address(message)


def _plain(message: DhcpMessage, server: IPv4Address, *, kind: MessageType) -> DhcpMessage:
    options = {
        Option.MESSAGE_TYPE: bytes((kind,)),
        Option.SERVER_ID: server.packed,
        Option.CLIENT_ID: returned(message.options, Option.CLIENT_ID, shortest=2),
        Option.RELAY_INFORMATION: returned(message.options, Option.RELAY_INFORMATION, shortest=1),
    }
    return reply_to(message, {code: value for code, value in options.items() if value}, flags=message.flags)


def _after_the_server(options: Mapping[int, bytes], added: Mapping[int, bytes]) -> dict[int, bytes]:
    """Insert options after 53 and 54, which come first, and before all others, because 67 and 82 come last."""
    first = {int(code): options[code] for code in (Option.MESSAGE_TYPE, Option.SERVER_ID)}
    return {**first, **added, **options}


def _subnet_selection(message: DhcpMessage) -> dict[int, bytes]:
    """Return option 118 if it was used: its sender needs it (RFC 3011 §3). Option 82.5 is returned within 82."""
    is_obeyed = selected_subnet(message) is not None and link_selection(message) is None
    return {Option.SUBNET_SELECTION: message.options[Option.SUBNET_SELECTION]} if is_obeyed else {}


def _lease_options(terms: LeaseTerms) -> dict[int, bytes]:
    """Order a lease's options; times are T1 = 0.5 and T2 = 0.875 of the lease (RFC 2131 §4.4.5)."""
    times = terms.lease_s, terms.lease_s // 2, terms.lease_s * 7 // 8
    leased, renewed, rebound = (b"" if terms.address is None else time_s.to_bytes(4, "big") for time_s in times)
    options: dict[int, bytes] = {
        Option.LEASE_TIME: leased,
        Option.RENEWAL_TIME: renewed,
        Option.REBINDING_TIME: rebound,
        Option.SUBNET_MASK: terms.network.netmask.packed,
        Option.ROUTERS: terms.router.packed if terms.router else b"",
        Option.NAME_SERVERS: _packed(terms.nameservers),
        Option.HOST_NAME: (terms.host_name or "").encode(),
        Option.DOMAIN_NAME: (terms.domain or "").encode(),
        Option.BROADCAST_ADDRESS: terms.network.broadcast_address.packed,
        Option.NTP_SERVERS: _packed(terms.ntp_servers),
    }
    return {code: value for code, value in options.items() if value}


def _packed(addresses: Sequence[IPv4Address]) -> bytes:
    return b"".join(address.packed for address in addresses[:_SERVERS])
