"""Parse boot requests: the client, and whether its request may be answered on the port that received it.

Never decides what the machine gets (`boot.decide`), never writes a packet (`wire.dhcp.pxe_reply`). Everything that gets
no answer has a `DropReason`, the same word in log, metric and documentation.

PXE 2.1 §2 (the requests on 67 and 4011) · RFC 4578 with erratum 4624 and IANA's list (93, 97) · RFC 3004 (77) ·
UEFI 2.10 §24 (HTTPClient) · RFC 4390 (InfiniBand) · RFC 3046 §2.0, §3 (82).
"""

from collections.abc import Container, Sequence
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, RelayPath, Stage
from netboot.model.host.mac import Mac
from netboot.model.install.token import without_any_token
from netboot.model.words import printable_line
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp.message import DhcpMessage, MessageType, Option

PXE_CLIENT: Final = b"PXEClient"
HTTP_CLIENT: Final = b"HTTPClient"

BOOT_ITEM: Final = 71  # in option 43: the entry of a boot menu that the firmware requests
_HTTP_FEATURE: Final = 0x13  # in option 175: ipxe/features.h, DHCP_EB_FEATURE_HTTP
_SIGNED_BOOT_ITEM: Final = 0x80  # the top bit of its layer: credentials for BIS, which no server implements

_CIRCUIT_ID, _REMOTE_ID = 1, 2  # in option 82
_LONGEST_ID: Final = 64  # bytes that are kept of one of them

_ETHERNET: Final = (1, 6)  # htype; IEEE 802 addresses are no different
_INFINIBAND: Final = 32  # htype
_GUID_OF_CHADDR: Final = {8: slice(0, 8), 16: slice(8, 16)}  # by hlen: iPXE's GUID, a GID with the GUID at its end
_MELLANOX: Final = 0x2C9  # enterprise number: the GUIDs of its cards end a DUID-EN
_GUID_BYTES: Final = 16
_DUID_LLT, _DUID_EN, _DUID_LL = 1, 2, 3
_ETHERNET_CLIENT_ID: Final = 1  # the type byte of an option 61 that holds a MAC

# The Raspberry Pi ROM sends PXEClient, x86 BIOS, and needs a menu entry of its own and then start4.elf: it must not
# get undionly.kpxe. UEFI on the same board sends architecture 11 and is a client like any other.
_RASPBERRY_PI: Final = frozenset(
    bytes.fromhex(oui) for oui in ("b827eb", "dca632", "e45f01", "28cdc1", "d83add", "2ccf67")
)


class DropReason(StrEnum):
    """Why a datagram gets no reply."""

    MALFORMED = "malformed"  # counted by the handler: `message.parse` refused it
    NOT_A_REQUEST = "not-a-request"  # a server's reply
    NO_MESSAGE_TYPE = "no-message-type"  # plain BOOTP, or an option 53 that is none
    OTHER_MESSAGE_TYPE = "other-message-type"  # for the lease server, or for the other port
    NOT_A_BOOT_CLIENT = "not-a-boot-client"  # a running system, a GRUB, an installer
    BOGUS_RELAY = "bogus-relay"
    OTHER_BOOT_SERVER = "other-boot-server"
    SIGNED_BOOT_ITEM = "signed-boot-item"
    NO_MAC = "no-mac"
    NO_ARCHITECTURE = "no-architecture"
    RASPBERRY_PI_ROM = "raspberry-pi-rom"
    NO_REPLY_VARIANT = "no-reply-variant"  # no reply expresses this decision to this client's firmware
    BOOT_FILE_TOO_LONG = "boot-file-too-long"  # over the 255 bytes of option 67


def offer_request(message: DhcpMessage, ours: Container[IPv4Address]) -> BootClient | DropReason:
    """Read a message to port 67: a DISCOVER of a boot client, or why it gets no reply.

    `ours` are this appliance's addresses; a relay cannot have one of them.
    """
    if message.op != dhcp.REQUEST:
        return DropReason.NOT_A_REQUEST
    kind = message.message_type
    if kind is not MessageType.DISCOVER:
        return DropReason.NO_MESSAGE_TYPE if kind is None else DropReason.OTHER_MESSAGE_TYPE
    if dhcp.is_bogus_relay(message, ours):
        return DropReason.BOGUS_RELAY
    return boot_client(message)


def boot_server_request(message: DhcpMessage, ours: Container[IPv4Address]) -> BootClient | DropReason:
    """Read a message to port 4011: a REQUEST or INFORM of a PXEClient to this appliance, or why it gets no reply.

    `ours` are this appliance's addresses. EDK2 sends no option 54, iPXE names us in it.
    """
    if message.op != dhcp.REQUEST:
        return DropReason.NOT_A_REQUEST
    kind = message.message_type
    if kind is not MessageType.REQUEST and kind is not MessageType.INFORM:
        return DropReason.NO_MESSAGE_TYPE if kind is None else DropReason.OTHER_MESSAGE_TYPE
    if not message.options.get(Option.VENDOR_CLASS, b"").startswith(PXE_CLIENT):
        return DropReason.NOT_A_BOOT_CLIENT
    if Option.SERVER_ID in message.options and message.address_option(Option.SERVER_ID) not in ours:
        return DropReason.OTHER_BOOT_SERVER
    item = boot_item(message)
    if item is not None and item[2] & _SIGNED_BOOT_ITEM:
        return DropReason.SIGNED_BOOT_ITEM
    return boot_client(message)


def boot_client(message: DhcpMessage) -> BootClient | DropReason:
    """Return the machine behind a request: its MAC, protocol, architecture and stage, whatever the type of message.

    An iPXE that gets its script names `iPXE` in option 77 and, where it lists its features in option 175, HTTP among
    them. Option 175 alone is sent by gPXE and by builds of iPXE without HTTP too: those get a loader, as any firmware.
    """
    options = message.options
    vendor_class = options.get(Option.VENDOR_CLASS, b"")
    protocol = _protocol(vendor_class)
    if protocol is None:
        return DropReason.NOT_A_BOOT_CLIENT
    mac = client_mac(message)
    if mac is None:
        return DropReason.NO_MAC
    arch = architecture(message)
    if arch is None:
        return DropReason.NO_ARCHITECTURE
    user_classes, features = _user_classes(options.get(Option.USER_CLASS, b"")), options.get(Option.IPXE)
    has_http = features is not None and _HTTP_FEATURE in dhcp.sub_options(features)
    is_ipxe = b"iPXE" in user_classes
    is_etherboot = features is not None or is_ipxe or b"gPXE" in user_classes
    if arch == Arch.X86_BIOS and not is_etherboot and message.chaddr[:3] in _RASPBERRY_PI:
        return DropReason.RASPBERRY_PI_ROM
    return BootClient(
        mac=mac,
        arch=arch,
        protocol=protocol,
        stage=Stage.IPXE if is_ipxe and (features is None or has_http) else Stage.FIRMWARE,
        vendor_class=without_any_token(printable_line(vendor_class.decode("latin-1"), longest=255)),
        uuid=_uuid(options.get(Option.CLIENT_UUID, b"")),
        is_etherboot=is_etherboot,
        has_http=has_http,
        exchange=message.xid if message.message_type is MessageType.DISCOVER else None,
        elapsed=message.secs,
        path=_path(message) if message.is_relayed or Option.RELAY_INFORMATION in options else None,
    )


def architecture(message: DhcpMessage) -> int | None:
    """Read the first architecture of option 93, else `Arch:NNNNN` in the class; never guess."""
    listed = message.options.get(Option.CLIENT_ARCH, b"")
    if len(listed) >= 2 and len(listed) % 2 == 0:
        return listed[0] << 8 | listed[1]
    _, found, rest = message.options.get(Option.VENDOR_CLASS, b"").partition(b"Arch:")
    digits = rest[:5]
    return int(digits) if found and len(digits) == 5 and digits.isdigit() else None


def client_mac(message: DhcpMessage) -> Mac | None:
    """Find the MAC of the client: `chaddr`, or an option 61 of type 1 where `chaddr` holds no Ethernet address.

    A system GUID in `chaddr` (EDK2 with SendGUID) has a MAC that stands for it; over InfiniBand the port's GUID counts.
    None if nothing identifies the machine.
    """
    is_ethernet = message.htype in _ETHERNET
    if is_ethernet and message.hlen == 6:
        return _card(message.chaddr[:6])
    if is_ethernet and message.hlen != _GUID_BYTES:
        return None
    client_id = message.options.get(Option.CLIENT_ID, b"")
    if len(client_id) == 7 and client_id[0] == _ETHERNET_CLIENT_ID:
        return _card(client_id[1:])
    if message.htype == _INFINIBAND:
        return _port_guid(message, client_id)
    return Mac.standing_for(message.chaddr) if is_ethernet and any(message.chaddr) else None


def _port_guid(message: DhcpMessage, client_id: bytes) -> Mac | None:
    """Find the GUID of an InfiniBand port: in `chaddr` as iPXE sends it, else in option 61 (RFC 4390 §2.1).

    An option 61 that holds no GUID has one of 8 bytes that stands for it.
    """
    raw = message.chaddr[_GUID_OF_CHADDR[message.hlen]] if message.hlen in _GUID_OF_CHADDR else b""
    found = _card(raw) or _card(_guid_in(client_id))
    return found or (Mac.standing_for(client_id, length=8) if len(client_id) >= 2 and any(client_id) else None)


def _guid_in(client_id: bytes) -> bytes:
    """Take the GUID out of an option 61: behind the hardware type, or in a DUID (RFC 4361 §6.1, RFC 8415 §11)."""
    if client_id[:1] == bytes((_INFINIBAND,)) and len(client_id) in (9, 21):
        return client_id[-8:]
    if client_id[:1] != b"\xff":
        return b""
    duid = client_id[5:]  # behind the type and the IAID
    kind, hardware = int.from_bytes(duid[:2], "big"), int.from_bytes(duid[2:4], "big")
    address = {_DUID_LLT: duid[8:], _DUID_LL: duid[4:]}.get(kind, b"")
    if hardware == _INFINIBAND and len(address) in (8, 20):
        return address[-8:]
    is_mellanox = kind == _DUID_EN and int.from_bytes(duid[2:6], "big") == _MELLANOX
    return duid[-8:] if is_mellanox and len(duid) >= 14 else b""


def _card(raw: bytes) -> Mac | None:
    try:
        return Mac.from_bytes(raw)
    except ValueError:
        return None


def address_shown(message: DhcpMessage) -> tuple[Mac, IPv4Address] | None:
    """Find the address that a REQUEST or INFORM of any client shows: option 50, else `ciaddr`."""
    kind = message.message_type
    if message.op != dhcp.REQUEST or (kind is not MessageType.REQUEST and kind is not MessageType.INFORM):
        return None
    address = message.address_option(Option.REQUESTED_ADDRESS) or message.ciaddr
    mac = client_mac(message)
    return (mac, address) if mac is not None and dhcp.is_unicast(address) else None


def ack_address(source: tuple[str, int]) -> tuple[str, int]:
    """Return where the reply to a request on port 4011 goes: to its source address and port.

    EDK2 sends from 4011 and receives there, iPXE from 68. A client without an address receives broadcasts only.
    """
    return source if source[0] != str(dhcp.NO_ADDRESS) else (str(dhcp.BROADCAST), dhcp.CLIENT_PORT)


def boot_item(message: DhcpMessage) -> bytes | None:
    """Find the four bytes of 43.71 by which PXE 2.1 requests one entry of a menu: type and layer."""
    item = dhcp.sub_options(message.options.get(Option.VENDOR_OPTIONS, b"")).get(BOOT_ITEM, b"")
    return item if len(item) == 4 else None


def _protocol(vendor_class: bytes) -> BootProtocol | None:
    # A prefix, byte by byte: vendors append anything, a trailing NUL included; iPXE may say no more than this.
    if vendor_class.startswith(PXE_CLIENT):
        return BootProtocol.PXE
    return BootProtocol.HTTP if vendor_class.startswith(HTTP_CLIENT) else None


def _user_classes(value: bytes) -> Sequence[bytes]:
    """List the classes in option 77: the bare bytes that iPXE and gPXE send, and a list with lengths (RFC 3004)."""
    at, classes = 0, [value]
    while at < len(value):
        end = at + 1 + value[at]
        if end == at + 1 or end > len(value):
            return (value,)  # no list after all
        classes.append(value[at + 1 : end])
        at = end
    return classes


def _path(message: DhcpMessage) -> RelayPath | None:
    """Read the relay and the port that a DISCOVER came through; None if it shows neither."""
    if message.message_type is not MessageType.DISCOVER:
        return None
    inner = dhcp.sub_options(message.options.get(Option.RELAY_INFORMATION, b""))
    circuit, remote = _shown_id(inner.get(_CIRCUIT_ID, b"")), _shown_id(inner.get(_REMOTE_ID, b""))
    relay = message.giaddr if message.is_relayed else None
    return RelayPath(relay, circuit, remote) if relay or circuit or remote else None


def _shown_id(raw: bytes) -> str:
    """Write an id as its text, or as bytes in hex: its format is the relay's own (RFC 3046 §3.1)."""
    raw = raw[:_LONGEST_ID]
    text = raw.decode("latin-1")
    return without_any_token(text) if text.isascii() and text.isprintable() else raw.hex(":")


def _uuid(value: bytes) -> bytes | None:
    """Take the UUID of option 97; zeros mean that the firmware did not read its SMBIOS."""
    return value[1:] if len(value) == 17 and value[0] == 0 and any(value) else None
