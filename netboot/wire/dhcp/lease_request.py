"""Parse lease requests: the client and its state, where this appliance leases addresses too.

Never decides what is leased (`leasing.rules`), never writes a packet (`wire.dhcp.lease_reply`).

RFC 2131 §4.3.2 with table 4 (a REQUEST by its fields) and table 5 (what a client may fill) · RFC 2132 §9.14 (61) ·
RFC 3527 §3 (82.5) and RFC 3011 §3 (118): a subnet that the relay or the client states is used; otherwise the relay's
address is used.
"""

from collections.abc import Container
from ipaddress import IPv4Address
from typing import Final

from netboot.model.lease import LeaseDropReason, LeaseRequest, LeaseRequestKind
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.message import DhcpMessage, MessageType, Option
from netboot.wire.dhcp.pxe import DropReason

_LINK_SELECTION: Final = 5  # in option 82
_KIND_OF_TYPE: Final = {
    MessageType.DISCOVER: LeaseRequestKind.DISCOVER,
    MessageType.DECLINE: LeaseRequestKind.DECLINE,
    MessageType.RELEASE: LeaseRequestKind.RELEASE,
    MessageType.INFORM: LeaseRequestKind.INFORM,
}
_ADDRESS_IN_CIADDR: Final = frozenset(
    {LeaseRequestKind.RENEWING, LeaseRequestKind.REBINDING, LeaseRequestKind.RELEASE, LeaseRequestKind.INFORM}
)


def lease_request(
    message: DhcpMessage, ours: Container[IPv4Address], *, is_unicast: bool
) -> LeaseRequest | LeaseDropReason | DropReason:
    """Read a message to port 67 of the LAN's only server, or return why it gets no reply.

    `ours` are this appliance's addresses; `is_unicast`: it was sent to one of them, not broadcast.
    """
    if message.op != dhcp.REQUEST:
        return DropReason.NOT_A_REQUEST
    kind = message.message_type
    if kind is None:
        return DropReason.NO_MESSAGE_TYPE
    if kind is not MessageType.REQUEST and kind not in _KIND_OF_TYPE:
        return DropReason.OTHER_MESSAGE_TYPE
    if dhcp.is_bogus_relay(message, ours):
        return DropReason.BOGUS_RELAY
    mac, client_id = pxe.client_mac(message), _client_id(message)
    if client_id is None:
        return DropReason.NO_MAC
    request_kind = _request_state(message, ours, is_unicast) if kind is MessageType.REQUEST else _KIND_OF_TYPE[kind]
    if request_kind in (LeaseRequestKind.DECLINE, LeaseRequestKind.RELEASE) and _names_another_server(message, ours):
        return LeaseDropReason.OTHER_LEASE_SERVER
    if request_kind is None:
        return LeaseDropReason.MISFORMED_REQUEST
    relay = message.giaddr if message.is_relayed else None
    return LeaseRequest(request_kind, client_id, mac, _address(message, request_kind), relay, selected_subnet(message))


def selected_subnet(message: DhcpMessage) -> IPv4Address | None:
    """Find the subnet that a message requests, by an address in it: option 82.5 before option 118; None: by neither.

    An option of another length, or without a unicast address, is ignored.
    """
    return link_selection(message) or _unicast(message.options.get(Option.SUBNET_SELECTION, b""))


def link_selection(message: DhcpMessage) -> IPv4Address | None:
    """Find the address in a relay's option 82.5 (RFC 3527), which counts instead of `giaddr` and of option 118."""
    return _unicast(dhcp.sub_options(message.options.get(Option.RELAY_INFORMATION, b"")).get(_LINK_SELECTION, b""))


def _unicast(raw: bytes) -> IPv4Address | None:
    address = IPv4Address(raw) if len(raw) == 4 else dhcp.NO_ADDRESS
    return address if dhcp.is_unicast(address) else None


def _request_state(message: DhcpMessage, ours: Container[IPv4Address], is_unicast: bool) -> LeaseRequestKind | None:
    """Return the state of a client that sends a REQUEST, by the fields of RFC 2131's table 4."""
    has_requested = message.address_option(Option.REQUESTED_ADDRESS) is not None
    holds_one = message.ciaddr != dhcp.NO_ADDRESS
    match (Option.SERVER_ID in message.options, has_requested, holds_one):
        case (True, _, _) if _names_another_server(message, ours):
            return LeaseRequestKind.SELECTING_ANOTHER
        case (True, True, False):
            return LeaseRequestKind.SELECTING
        case (False, True, False):
            return LeaseRequestKind.INIT_REBOOT
        case (False, False, True):
            return LeaseRequestKind.RENEWING if is_unicast and not message.is_relayed else LeaseRequestKind.REBINDING
        case _:
            return None


def _names_another_server(message: DhcpMessage, ours: Container[IPv4Address]) -> bool:
    return Option.SERVER_ID in message.options and message.address_option(Option.SERVER_ID) not in ours


def _address(message: DhcpMessage, request_kind: LeaseRequestKind) -> IPv4Address | None:
    """Find the address that the request is about: `ciaddr` where the client holds it, else option 50."""
    is_held = request_kind in _ADDRESS_IN_CIADDR
    address = message.ciaddr if is_held else message.address_option(Option.REQUESTED_ADDRESS)
    return address if address is not None and dhcp.is_unicast(address) else None


def _client_id(message: DhcpMessage) -> str | None:
    """Identify an unregistered client: its option 61, else its hardware address with its type (RFC 2131 §4.2)."""
    given = message.options.get(Option.CLIENT_ID, b"")
    if 2 <= len(given) <= 255:
        return f"id:{given.hex()}"
    hardware = message.chaddr[: message.hlen]
    return f"hw:{message.htype:02x}:{hardware.hex()}" if any(hardware) else None
