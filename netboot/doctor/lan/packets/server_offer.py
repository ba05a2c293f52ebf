"""One OFFER or ACK of a DHCP or PXE server, with everything in it that decides what firmware boots. Read by scapy.

RFC 2131 §2 (the fields) · RFC 2132 §9 (43, 60, 66, 67) · RFC 3046 (82).
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Any, Final

from netboot.model.boot.other_server import ServerKind, ServerReply
from netboot.model.hidden import without_secrets
from netboot.model.host.mac import Mac
from netboot.model.words import printable_line

PXE_CLASS, HTTP_CLASS = "PXEClient", "HTTPClient"

_OFFER, _ACK = 2, 5
_BOOT_SERVERS, _BOOT_MENU = 8, 9  # in option 43
_NO_PROXY: Final = 176  # in option 175: iPXE does not wait for proxy offers (ipxe/dhcp.h, DHCP_EB_NO_PXEDHCP)
_LONGEST_TEXT: Final = 255
_IPXE: Final = 175
_NONE: Final = IPv4Address(0)


class Request(StrEnum):
    """The client that a DISCOVER is from."""

    BIOS = "a BIOS ROM"
    UEFI_PXE = "UEFI PXE"
    UEFI_HTTP = "UEFI HTTP boot"
    IPXE = "iPXE"
    PLAIN = "a client without option 60"
    UNKNOWN = "another machine"  # a reply that was heard, to a request that was not sent here


@dataclass(frozen=True, slots=True)
class ServerOffer:
    """What one server replied to one kind of client. The texts are printable and have no password."""

    request: Request
    source: IPv4Address
    server: IPv4Address  # option 54, else the source
    mac: Mac | None
    client: Mac
    exchange: int
    leased: IPv4Address | None
    vendor_class: str  # option 60
    file_field: str  # the only one that shim reads
    option_67: str
    siaddr: IPv4Address | None
    option_66: str
    option_43: bytes
    has_relay_option: bool  # 82
    relay: IPv4Address | None  # giaddr
    ends_proxies: bool  # option 175.176

    @property
    def is_pxe(self) -> bool:
        """Return whether option 60 makes it an offer to PXE firmware."""
        return self.vendor_class.startswith(PXE_CLASS)

    @property
    def is_http(self) -> bool:
        """Return whether option 60 makes it an offer to UEFI HTTP boot."""
        return self.vendor_class.startswith(HTTP_CLASS)

    @property
    def boot_file(self) -> str:
        """The file as EDK2 reads it: option 67, else the field."""
        return self.option_67 or self.file_field

    @property
    def next_server(self) -> str:
        """The file's server: the field, else option 66."""
        return str(self.siaddr) if self.siaddr else self.option_66

    @property
    def file_text(self) -> str:
        """Name the boot file and its server."""
        on = f" on {self.next_server}" if self.next_server and "://" not in self.boot_file else ""
        return f"{self.boot_file}{on}"

    @property
    def has_menu(self) -> bool:
        """Return whether option 43 has a boot menu or boot servers."""
        codes = _codes_in(self.option_43)
        return _BOOT_SERVERS in codes or _BOOT_MENU in codes

    @property
    def needs_boot_server(self) -> bool:
        """Return whether its client requests its boot file from port 4011 of the server."""
        return self.is_pxe and not self.boot_file

    @property
    def reply(self) -> ServerReply:
        """The reply as the daemon classifies it."""
        return ServerReply(
            kind=ServerKind.DHCP if self.leased else ServerKind.PROXY,
            server=self.server,
            mac=self.mac,
            client=self.client,
            exchange=self.exchange,
            has_pxe_option=self.is_pxe or self.is_http,
            has_menu=self.has_menu,
            boot_file=self.boot_file,
            next_server=self.next_server,
        )

    @property
    def evidence(self) -> str:
        """State in one line what it offers."""
        found = [f"leases {self.leased}" if self.leased else "leases no address"]
        found += [f"option 60 {self.vendor_class}"] if self.vendor_class else []
        found += [f"option 43 {self.option_43.hex()[:64]}"] if self.option_43 else []
        found += [f"option 66 {self.option_66}"] if self.option_66 else []
        found += [f"option 67 {self.option_67}"] if self.option_67 else []
        found += [f"siaddr {self.siaddr}"] if self.siaddr else []
        found += [f"file {self.file_field}"] if self.file_field else []
        found += [f"giaddr {self.relay}"] if self.relay else []
        found += ["option 82"] if self.has_relay_option else []
        found += ["option 175.176"] if self.ends_proxies else []
        return f"{self.server} to {self.request}: {', '.join(found)}"


def read_offer(frame: Any, request: Request) -> ServerOffer | None:
    """Read a dissected frame; None if it is no OFFER or ACK, or gives neither an address nor a boot."""
    from scapy.layers.dhcp import BOOTP, DHCP
    from scapy.layers.inet import IP

    if DHCP not in frame or frame[BOOTP].op != 2:
        return None
    header, options = frame[BOOTP], options_of(frame[DHCP])
    client, source = _mac(bytes(header.chaddr)[:6]), IPv4Address(frame[IP].src)
    if options.get("message-type") not in (_OFFER, _ACK) or client is None:
        return None
    offer = ServerOffer(
        request=request,
        source=source,
        server=_address(options.get("server_id")) or source,
        mac=_mac(bytes.fromhex(str(frame.src).replace(":", ""))),
        client=client,
        exchange=int(header.xid),
        leased=_address(header.yiaddr),
        vendor_class=text_of(options.get("vendor_class_id")),
        file_field=text_of(header.file),
        option_67=text_of(options.get("boot-file-name")),
        siaddr=_address(header.siaddr),
        option_66=text_of(options.get("tftp_server_name")),
        option_43=_bytes(options.get("vendor_specific")),
        has_relay_option="relay_agent_information" in options,
        relay=_address(header.giaddr),
        ends_proxies=_NO_PROXY in _codes_in(_bytes(options.get(str(_IPXE)))),
    )
    return offer if offer.leased or offer.is_pxe or offer.is_http else None


def options_of(dhcp: Any) -> dict[str, Any]:
    """Map the options by scapy's name, an unnamed one by its number; of a repeated one the first."""
    found: dict[str, Any] = {}
    for option in dhcp.options:
        if isinstance(option, tuple) and len(option) > 1:
            found.setdefault(str(option[0]), option[1])
    return found


def _codes_in(data: bytes) -> set[int]:
    """List the codes of an option within an option."""
    codes, at = set(), 0
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        codes.add(data[at])
        at += 2 + data[at + 1]
    return codes


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes(value) if hasattr(value, "build") else b""


def text_of(value: Any) -> str:
    """Write a value of scapy's up to its first zero byte, as a ROM reads it, as one printable line without secrets."""
    raw = value.encode("latin-1", "replace") if isinstance(value, str) else _bytes(value)
    text = raw.partition(b"\0")[0].decode("latin-1")
    return without_secrets(printable_line(text, longest=_LONGEST_TEXT))[:_LONGEST_TEXT] if text else ""


def _address(value: Any) -> IPv4Address | None:
    try:
        address = IPv4Address(value)
    except ValueError:
        return None
    return address if address != _NONE else None


def _mac(raw: bytes) -> Mac | None:
    try:
        return Mac.from_bytes(raw)
    except ValueError:
        return None
