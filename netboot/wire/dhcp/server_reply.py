"""Parse what shows another DHCP or PXE server: its reply to a client, and the request of a client that chose it.

For observation, never answered. Never decides what a reply means for a boot (`model.boot.other_server`).

PXE 2.1 §2.2 (option 43 of a proxyDHCP server) · RFC 2131 §4.3.1 (what a lease has) · RFC 2132 §9.4, §9.5 (66, 67).
"""

from ipaddress import IPv4Address
from typing import Final

from netboot.model.boot.other_server import ServerKind, ServerReply
from netboot.model.hidden import without_secrets
from netboot.model.host.mac import Mac
from netboot.model.words import printable_line
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp.message import DhcpMessage, MessageType, Option
from netboot.wire.dhcp.pxe import HTTP_CLIENT, PXE_CLIENT, client_mac

_REPLIES: Final = frozenset({MessageType.OFFER, MessageType.ACK})
_BOOT_SERVERS, _BOOT_MENU = 8, 9  # in option 43
_LONGEST_TEXT: Final = 255


def server_reply(message: DhcpMessage, source: IPv4Address, mac: Mac | None) -> ServerReply | None:
    """Read an OFFER or ACK that came from this address and card; None if it gives neither an address nor a boot.

    Without an address and without option 60 no firmware takes a reply for that of a proxyDHCP server.
    """
    if message.op != dhcp.REPLY or message.message_type not in _REPLIES:
        return None
    has_pxe_option = _has_pxe_option(message)
    is_lease = message.yiaddr != dhcp.NO_ADDRESS
    server, client = message.address_option(Option.SERVER_ID) or source, client_mac(message)
    if client is None or not dhcp.is_unicast(server) or not (is_lease or has_pxe_option):
        return None
    menu = dhcp.sub_options(message.options.get(Option.VENDOR_OPTIONS, b"")) if has_pxe_option else {}
    return ServerReply(
        kind=ServerKind.DHCP if is_lease else ServerKind.PROXY,
        server=server,
        mac=mac,
        client=client,
        exchange=message.xid,
        has_pxe_option=has_pxe_option,
        has_menu=_BOOT_SERVERS in menu or _BOOT_MENU in menu,
        boot_file=_text(message.options.get(Option.BOOT_FILE) or message.file),
        next_server=_next_server(message),
    )


def chosen_server(message: DhcpMessage) -> IPv4Address | None:
    """Read which server's lease the REQUEST of a boot client takes; None if the message is none."""
    if message.op != dhcp.REQUEST or message.message_type is not MessageType.REQUEST or not _has_pxe_option(message):
        return None
    server = message.address_option(Option.SERVER_ID)
    return server if server is not None and dhcp.is_unicast(server) else None


def _has_pxe_option(message: DhcpMessage) -> bool:
    return message.options.get(Option.VENDOR_CLASS, b"").startswith((PXE_CLIENT, HTTP_CLIENT))


def _next_server(message: DhcpMessage) -> str:
    if message.siaddr != dhcp.NO_ADDRESS:
        return str(message.siaddr)
    return _text(message.options.get(Option.TFTP_SERVER, b""))


def _text(raw: bytes) -> str:
    """Write what a server sent up to its first zero byte, as a ROM reads it, as one printable line without secrets."""
    text = raw.partition(b"\0")[0].decode("latin-1")
    return without_secrets(printable_line(text, longest=_LONGEST_TEXT))[:_LONGEST_TEXT] if text else ""
