"""Write the reply to a boot client: which options, in which order, in the variant that its firmware understands.

The table `VARIANTS` contains every difference between the replies. Never decides whether and what to offer. Leases
nothing: writes no mask, router or lease time. Never truncates an option: the reply omits one that does not fit, and the
result lists it.

PXE 2.1 §2 · RFC 2131 §3, §4.1 · RFC 2132 · RFC 3046 §2.2 (82 is returned unchanged) · RFC 6842 (so is 61).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from netboot.model import urls
from netboot.model.boot.boot_client import BootClient, BootProtocol, Cpu, Stage
from netboot.model.boot.offer import Offer, OfferKind
from netboot.model.host.firmware import ReplyVariant
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp.message import DhcpMessage, MessageType, Option
from netboot.wire.dhcp.pxe import BOOT_ITEM, HTTP_CLIENT, PXE_CLIENT, DropReason, boot_item

IP_AND_UDP_BYTES: Final = 28
EVERYBODY_TAKES_BYTES: Final = 576 - IP_AND_UDP_BYTES  # RFC 2131 §2; no smaller limit is obeyed
LONGEST_FILE_FIELD: Final = 127  # bytes, with the NUL that ROMs require after them
LONGEST_OPTION: Final = 255
# The options that a reply omits first.
_SPARED: Final = (Option.DOMAIN_NAME, Option.HOST_NAME, Option.CLIENT_ID, Option.RELAY_INFORMATION)


@dataclass(frozen=True)
class ServerAddress:
    """This appliance as one client reaches it: the address of the receiving interface, and the HTTP port.

    `mtu_bytes` is that interface's, IP header included. `advertised` is the address of URLs and of `siaddr` where
    another device has it and leads here; option 54 is ours always, since the client reached us there (RFC 2131 §4.1).
    """

    address: IPv4Address
    http_port: int
    mtu_bytes: int = 1500
    advertised: IPv4Address | None = None

    @cached_property
    def packed(self) -> bytes:
        """The four bytes of `address`."""
        return self.address.packed

    @cached_property
    def text(self) -> str:
        """Write `address`."""
        return str(self.address)

    @cached_property
    def boot_server(self) -> IPv4Address:
        """The address from which a machine fetches its files."""
        return self.advertised or self.address

    @cached_property
    def base_url(self) -> str:
        """The URL of this server's HTTP."""
        return urls.base_url(self.boot_server, self.http_port)


class Reply(NamedTuple):  # made three times as fast as a frozen dataclass
    """A datagram to send, what it names as boot file (option 67), and the options that did not fit."""

    data: bytes
    boot_file: str
    left_out: tuple[int, ...] = ()


class Reader(StrEnum):
    """The code that reads the reply."""

    BIOS = "bios"  # Intel's ROMs and their derivatives
    UEFI = "uefi"  # EDK2 by PXE
    UEFI_HTTP = "uefi-http"  # EDK2 by HTTP
    IPXE = "ipxe"


def _tftp_name(offer: Offer, _server: ServerAddress) -> str:
    return offer.boot_file


def _bootfile_url(offer: Offer, server: ServerAddress) -> str:
    if offer.needs_own_directory:  # the directory in which shim finds its GRUB, and GRUB the machine's grub.cfg
        return urls.machine_file(server.base_url, offer.mac, offer.boot_file.rpartition("/")[2])
    return urls.boot_file(server.base_url, offer.boot_file)


def _script_url(offer: Offer, server: ServerAddress) -> str:
    return urls.ipxe_script(server.base_url, offer.mac)


def _missing_url(offer: Offer, server: ServerAddress) -> str:
    return urls.machine_file(server.base_url, offer.mac, urls.LOCAL_DISK_NAME)


def _no_file(_offer: Offer, _server: ServerAddress) -> str:
    return ""


# Option 43: sub-option 6 is the discovery control; its bit 3: load the named file: no discovery, no menu. EDK2
# goes to 4011 when none of 43.6 to 43.10 is there.
_TAKE_THE_FILE: Final = bytes.fromhex("060108 ff")
# Discover nobody (43.6 = 3); a menu (43.9) of one entry of type 0, the local disk; a prompt (43.10) of 0 seconds.
_LOCAL_DISK_MENU: Final = b"\x06\x01\x03\x09\x0d\x00\x00\x0aLocal disk\x0a\x0b\x00Local disk\xff"
# Option 175.1, the priority: 1 lets our file name win over one from the lease server.
_ABOVE_THE_LEASE: Final = bytes.fromhex("010101")


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of reader gets one kind of offer; each field is named after where it goes. Empty: no such option."""

    option_60: bytes
    option_43: bytes
    option_175: bytes
    boot_file: Callable[[Offer, ServerAddress], str]  # `file` and option 67


# A UEFI machine led to its disk: by PXE "take the file" without a file is PXE-E21 and the next boot entry after 4 s,
# by HTTP a 404 is. An iPXE takes the menu as a BIOS ROM does (pxemenu.c); it is offered one on a BIOS alone.
# iPXE requires "PXEClient" in any offer that it takes for a proxy's, whatever class it sent itself.
# fmt: off
VARIANTS: Final[Mapping[tuple[Reader, OfferKind], Layout]] = {
    # who reads        is led to                    60           43                175               file and 67
    (Reader.BIOS,      OfferKind.LOADER):     Layout(PXE_CLIENT,  _TAKE_THE_FILE,   b"",              _tftp_name),
    (Reader.BIOS,      OfferKind.LOCAL_DISK): Layout(PXE_CLIENT,  _LOCAL_DISK_MENU, b"",              _no_file),
    (Reader.UEFI,      OfferKind.LOADER):     Layout(PXE_CLIENT,  _TAKE_THE_FILE,   b"",              _tftp_name),
    (Reader.UEFI,      OfferKind.LOCAL_DISK): Layout(PXE_CLIENT,  _TAKE_THE_FILE,   b"",              _no_file),
    (Reader.UEFI_HTTP, OfferKind.LOADER):     Layout(HTTP_CLIENT, b"",              b"",              _bootfile_url),
    (Reader.UEFI_HTTP, OfferKind.LOCAL_DISK): Layout(HTTP_CLIENT, b"",              b"",              _missing_url),
    (Reader.IPXE,      OfferKind.LOADER):     Layout(PXE_CLIENT,  _TAKE_THE_FILE,   _ABOVE_THE_LEASE, _tftp_name),
    (Reader.IPXE,      OfferKind.SCRIPT):     Layout(PXE_CLIENT,  _TAKE_THE_FILE,   _ABOVE_THE_LEASE, _script_url),
    (Reader.IPXE,      OfferKind.LOCAL_DISK): Layout(PXE_CLIENT,  _LOCAL_DISK_MENU, b"",              _no_file),
}
# fmt: on


def reader_of(client: BootClient) -> Reader:
    """Return the code that reads the reply to this client."""
    if client.stage is Stage.IPXE or client.is_etherboot:
        return Reader.IPXE
    if client.protocol is BootProtocol.HTTP:
        return Reader.UEFI_HTTP
    return Reader.BIOS if client.cpu is Cpu.X86_BIOS else Reader.UEFI


def offer_reply(message: DhcpMessage, client: BootClient, offer: Offer, server: ServerAddress) -> Reply | DropReason:
    """Write the OFFER to a DISCOVER on port 67; `dhcp.reply_address` returns its destination."""
    answer = boot_answer(message, client, offer, server, kind=MessageType.OFFER)
    return answer if isinstance(answer, DropReason) else written(message, answer, server)


def ack_reply(message: DhcpMessage, client: BootClient, offer: Offer, server: ServerAddress) -> Reply | DropReason:
    """Write the ACK to a REQUEST or INFORM on port 4011; it goes to the address and port of the request.

    A client that requests one entry of a boot menu gets that entry's four bytes back instead of the discovery control.
    """
    answer = boot_answer(message, client, offer, server, kind=MessageType.ACK, item=boot_item(message))
    return answer if isinstance(answer, DropReason) else written(message, answer, server)


def boot_answer(
    message: DhcpMessage,
    client: BootClient,
    offer: Offer,
    server: ServerAddress,
    *,
    kind: MessageType,
    item: bytes | None = None,
) -> DhcpMessage | DropReason:
    """Build the reply without a size limit; `written` makes a datagram of it.

    `item` is the entry of a boot menu that the client requested.
    """
    variant = VARIANTS.get((reader_of(client), offer.kind))
    if variant is None:
        return DropReason.NO_REPLY_VARIANT
    file = variant.boot_file(offer, server).encode()
    if len(file) > LONGEST_OPTION:
        return DropReason.BOOT_FILE_TOO_LONG
    if offer.variant is ReplyVariant.WITHOUT_43 and kind is MessageType.OFFER:
        variant = replace(variant, option_43=b"")  # so that the firmware goes to port 4011, whose reply has it
    if item is not None:
        variant = replace(variant, option_43=bytes((BOOT_ITEM, len(item))) + item + b"\xff")
    return reply_to(
        message,
        _options(message.options, variant, file, kind=kind, server=server),
        flags=_flags(message, client),
        # iPXE takes 0 for "no PXE options"; U-Boot, shim and GRUB read it as the TFTP server
        siaddr=server.boot_server,
        file=file if len(file) <= LONGEST_FILE_FIELD else b"",  # shim and U-Boot read nothing else; EDK2 prefers 67
    )


def reply_to(
    message: DhcpMessage,
    options: Mapping[int, bytes],
    *,
    flags: int,
    siaddr: IPv4Address = dhcp.NO_ADDRESS,
    file: bytes = b"",
) -> DhcpMessage:
    """Build a reply with the fields that every reply returns."""
    return DhcpMessage(
        op=dhcp.REPLY,
        htype=message.htype,
        hlen=message.hlen,
        xid=message.xid,
        flags=flags,
        siaddr=siaddr,
        giaddr=message.giaddr,
        chaddr=message.chaddr,
        file=file,
        options=options,
    )


def _flags(message: DhcpMessage, client: BootClient) -> int:
    """Return the flags; let a relay broadcast what is for an iPXE.

    iPXE does not set the flag, as firmware does, and there is no yiaddr to which a relay could unicast: dnsmasq's loses
    such an offer [measured, 2.89].
    """
    is_for_ipxe = message.is_relayed and reader_of(client) is Reader.IPXE
    return message.flags | dhcp.BROADCAST_FLAG if is_for_ipxe else message.flags


def written(message: DhcpMessage, answer: DhcpMessage, server: ServerAddress) -> Reply:
    """Write a reply to `message`, without the options that do not fit its sender or the link."""
    boot_file = answer.options.get(Option.BOOT_FILE, b"").decode()
    # option 82 is absent where its pieces are together too long to be returned
    is_82_lost = Option.RELAY_INFORMATION in message.options and Option.RELAY_INFORMATION not in answer.options
    reply = Reply(dhcp.build(answer), boot_file, (Option.RELAY_INFORMATION,) if is_82_lost else ())
    if len(reply.data) <= EVERYBODY_TAKES_BYTES:
        return reply
    longest_bytes = max(min(message.largest_reply_bytes, server.mtu_bytes) - IP_AND_UDP_BYTES, EVERYBODY_TAKES_BYTES)
    return reply if len(reply.data) <= longest_bytes else _fitted(answer, reply, longest_bytes=longest_bytes)


def returned(request: Mapping[int, bytes], code: int, *, shortest: int, longest: int = LONGEST_OPTION) -> bytes:
    """Return an option as it came; empty if it is absent or of another length."""
    value = request.get(code, b"")
    return value if shortest <= len(value) <= longest else b""


def _options(
    request: Mapping[int, bytes], variant: Layout, file: bytes, *, kind: MessageType, server: ServerAddress
) -> dict[int, bytes]:
    """Order the options.

    67 comes last, 82 alone behind it: EDK2 writes a NUL behind the name and parses the packet once more, so that the
    byte hit would be the next option's code [PxeBcDhcp4.c]. `dhcp.build` writes a PAD between 67 and what follows.
    """
    options: dict[int, bytes] = {
        Option.MESSAGE_TYPE: bytes((kind,)),
        Option.SERVER_ID: server.packed,
        Option.VENDOR_CLASS: variant.option_60,
        # only the client's own: old Intel ROMs refuse an offer with another one
        Option.CLIENT_UUID: returned(request, Option.CLIENT_UUID, shortest=17, longest=17),
        Option.VENDOR_OPTIONS: variant.option_43,
        Option.CLIENT_ID: returned(request, Option.CLIENT_ID, shortest=2),
        Option.IPXE: variant.option_175,
        Option.BOOT_FILE: file,
        Option.RELAY_INFORMATION: returned(request, Option.RELAY_INFORMATION, shortest=1),
    }
    return {code: value for code, value in options.items() if value}


def _fitted(answer: DhcpMessage, reply: Reply, *, longest_bytes: int) -> Reply:
    """Omit whole options until the reply fits: 67 if `file` has the name, a lease's names, 61, then 82."""
    droppable = (Option.BOOT_FILE, *_SPARED) if answer.file else _SPARED
    options = dict(answer.options)
    for option in droppable:
        if len(reply.data) <= longest_bytes:
            break
        if options.pop(option, None) is not None:
            data = dhcp.build(replace(answer, options=options))
            reply = reply._replace(data=data, left_out=(*reply.left_out, option))
    return reply
