"""Packets of machines, and how machines read replies: DHCP, boot scripts and documents, byte by byte.

Shares no line with netboot, so that a common error is not hidden.
"""

import re
import socket
from dataclasses import dataclass

from fixtures import packets

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
LAN_DHCP_SERVER = "192.0.2.1"
_FEATURES = bytes((0x13, 1, 1))  # iPXE's option 175: HTTP


@dataclass(frozen=True)
class Firmware:
    """How one kind of firmware names itself."""

    name: str
    arch: int
    vendor_class: bytes


BIOS = Firmware("bios", 0, b"PXEClient:Arch:00000:UNDI:002001")
UEFI = Firmware("uefi", 7, b"PXEClient:Arch:00007:UNDI:003016")
UEFI_HTTP = Firmware("uefi-http", 16, b"HTTPClient:Arch:00016:UNDI:003016")
UEFI_ARM = Firmware("uefi-arm", 11, b"PXEClient:Arch:00011:UNDI:003016")
FIRMWARES = (BIOS, UEFI, UEFI_HTTP, UEFI_ARM)


def message(
    kind: int, mac: str, xid: int, options: list[tuple[int, bytes]], *, secs: int = 4, ciaddr: str = "0.0.0.0"
) -> bytes:
    """Write one message of a client (RFC 2131)."""
    chaddr = bytes.fromhex(mac.replace(":", ""))
    return packets.message([(53, bytes([kind])), *options], xid=xid, secs=secs, ciaddr=ciaddr, chaddr=chaddr)


def uuid_of(mac: str) -> bytes:
    """Return the UUID of the machine with a card, as option 97 has it."""
    return bytes.fromhex(mac.replace(":", "")) * 2 + b"1234"


def of_firmware(firmware: Firmware, mac: str, *, is_ipxe: bool = False, uuid: bytes = b"") -> list[tuple[int, bytes]]:
    """Write the options by which a firmware, or the iPXE that it started, requests a boot."""
    options = [(60, firmware.vendor_class), (93, firmware.arch.to_bytes(2, "big")), (94, b"\1\3\x10")]
    options += [(97, b"\0" + (uuid or uuid_of(mac)))]
    options += [(77, b"iPXE"), (175, _FEATURES)] if is_ipxe else []
    return [*options, (55, bytes((1, 3, 6, 12, 43, 54, 60, 66, 67, 97)))]


def discover(
    firmware: Firmware, mac: str, xid: int, *, secs: int = 4, is_ipxe: bool = False, uuid: bytes = b""
) -> bytes:
    return message(DISCOVER, mac, xid, of_firmware(firmware, mac, is_ipxe=is_ipxe, uuid=uuid), secs=secs)


def lan_request(mac: str, xid: int, address: str) -> bytes:
    """Write the REQUEST that a client broadcasts to the LAN's own DHCP server."""
    return message(REQUEST, mac, xid, [(50, socket.inet_aton(address)), (54, socket.inet_aton(LAN_DHCP_SERVER))])


def boot_server_request(
    firmware: Firmware, mac: str, xid: int, address: str, *, is_ipxe: bool = False, uuid: bytes = b""
) -> bytes:
    """Write the REQUEST that firmware sends to port 4011."""
    return message(REQUEST, mac, xid, of_firmware(firmware, mac, is_ipxe=is_ipxe, uuid=uuid), ciaddr=address)


def shown_uuid(datagram: bytes) -> bytes | None:
    """Return the UUID of a boot request; None if it has none."""
    return packets.options_of(datagram).get(97, b"")[1:] or None


@dataclass(frozen=True)
class Reply:
    """One message of a server."""

    kind: int
    xid: int
    file: bytes
    options: dict[int, bytes]

    @property
    def boot_file(self) -> bytes:
        return self.options.get(67, b"") or self.file


def read_reply(data: bytes) -> Reply:
    assert data[0] == 2, "not a BOOTREPLY"
    options = packets.options_of(data)
    return Reply(options[53][0], int.from_bytes(data[4:8], "big"), data[108:236].rstrip(b"\0"), options)


# Scripts and documents

TOKEN = re.compile(rb"[0-9a-f]{32}")
_KICKSTART = re.compile(rb"\binst\.ks=\S*?/ks/([0-9a-f]{32})")
_REPORTS = re.compile(rb"/report/([0-9a-f]{32})")


def installer_token(script: bytes) -> str | None:
    """Find the Kickstart token of a script that boots an installer; None for a script that does not.

    A script boots an installer if a line of it that is not a comment loads a kernel with `inst.ks=`.
    """
    for line in script.splitlines():
        words = line.strip().removeprefix(b"if ").split()
        if words and words[0] in (b"kernel", b"linux", b"linuxefi") and b"inst.ks=" in line:
            found = _KICKSTART.search(line)
            return found[1].decode() if found else ""
    return None


def boot_card(script: bytes) -> str:
    """Find the network card that a script has its installer use: `BOOTIF`, as PXELINUX writes it."""
    found = re.search(rb"\bBOOTIF=01-((?:[0-9a-f]{2}-){5}[0-9a-f]{2})", script)
    return found[1].decode().replace("-", ":") if found else ""


def report_token(document: bytes) -> str:
    """Find the token with which a machine reports, in its Kickstart or in what its Ignition installs."""
    found = _REPORTS.search(document)
    assert found is not None, "a document without a report URL"
    return found[1].decode()


def ignition_token(kickstart: bytes) -> str:
    """Find the token of the Ignition that the installed system requests, on its kernel line."""
    found = re.search(rb"ignition\.config\.url=\S*?/ign/([0-9a-f]{32})", kickstart)
    assert found is not None, "a Kickstart without an Ignition URL"
    return found[1].decode()
