"""Reads the values of a host one by one.

The values are written into iPXE scripts, kernel lines, Kickstarts (shell, as root) and Ignition. So each kind has a
fixed set of characters, and a value that could end a quotation, a line or a word is refused, with its place and cure.
"""

import re
import zoneinfo
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Final

from netboot.model.host.firmware import ReplyVariant, RomIpxe
from netboot.model.host.host import HostName, Role
from netboot.model.host.mac import Mac
from netboot.settings.setting_types import DOMAIN_NAME, INTERFACE_NAME, LOADER_NAME, LOADER_NAME_CURE
from netboot.yamlfile.faults import beside, did_you_mean, nearest, shown
from netboot.yamlfile.given import Given

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST_NAME_LIMIT: Final = 64  # HOST_NAME_MAX of Linux; RFC 1123 would allow 253
_DISK: Final = re.compile(r"/dev(/[A-Za-z0-9_][A-Za-z0-9._:+@=-]*)+")
_NO_PLAIN_DISK: Final = re.compile(r"/dev/(mapper/|md|dm-|loop|sr[0-9])")
_PARTITION: Final = re.compile(r".*-part[0-9]+|/dev/([svh]|xv)d[a-z]+[0-9]+|/dev/(nvme[0-9]+n|mmcblk)[0-9]+p[0-9]+")
_KERNEL_ARGUMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:,=/@+%~!-]*")
_OUR_ARGUMENTS: Final = re.compile(r"(inst\.(ks|stage2)|ignition\.[a-z.]+|initrd|BOOTIF)(=.*)?")
_KEY_TYPES: Final = (
    r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
_SSH_KEY: Final = re.compile(rf"({_KEY_TYPES}) AAAA[A-Za-z0-9+/]+={{0,3}}( [^\"'\\`$<>|;&]+)?")
_TIMEZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_LONGEST_ETHERNET: Final = 14  # digits: a hardware type, then the address
_ADDRESS: Final = re.compile(r"[0-9.]+/[0-9]{1,2}")


def read_host_name(given: Given, name: str) -> HostName | None:
    """Read a host's name: an RFC 1123 label or dotted labels, in lower case as Kubernetes requires for nodes."""
    if len(name) > _HOST_NAME_LIMIT:
        given.refuse(f"is {len(name)} characters long", f"Linux takes a host name of {_HOST_NAME_LIMIT} at most")
    elif _is_like_address(name) or name.partition(".")[0] == "localhost":
        given.refuse(f"{shown(name)} cannot name a machine", "give it a name of its own, as cp1")
    elif all(_LABEL.fullmatch(label) for label in name.split(".")):
        return HostName(name)
    elif name != name.lower():
        given.refuse(f"{shown(name)} has capital letters, which Kubernetes refuses", f"write {name.lower()}")
    else:
        given.refuse(f"{shown(name)} is not a host name", "use letters, digits and hyphens, as cp1 or cp1.example.com")
    return None


def read_role(given: Given) -> Role | None:
    """Read a machine's role in the cluster."""
    text = given.text()
    if text is None:
        return None
    try:
        return Role(text)
    except ValueError:
        given.refuse(f"no such role {shown(text)}", did_you_mean(text, Role))
        return None


def read_mac(given: Given) -> Mac | None:
    """Read the address of a card in any usual notation: Ethernet, or the GUID of an InfiniBand port."""
    text = given.text()
    if text is None:
        return None
    try:
        return Mac.parse(text)
    except ValueError:
        cure = "write the card's own, as 52:54:00:aa:bb:01"
        if len(re.sub(r"[:.-]", "", text)) > _LONGEST_ETHERNET:
            cure += ", or of an InfiniBand port the GUID of 8 bytes, the last 8 of its 20, as b8:ce:f6:03:00:31:33:3e"
        given.refuse(f"{shown(text)} is not a unicast MAC address", cure)
        return None


def read_name(given: Given) -> str | None:
    """Read the name of a cluster, boot medium or release: it becomes part of paths and URLs."""
    text = given.text()
    if text is None or NAME.fullmatch(text):
        return text
    given.refuse(f"{shown(text)} is not a name", "use letters, digits, dots, hyphens and underscores, 64 at most")
    return None


def read_disk(given: Given) -> str | None:
    """Read the one disk that may be written."""
    text = given.text()
    if text is None:
        return None
    if not text.startswith("/dev/"):
        given.refuse(
            f"{shown(text)} is not below /dev", "write the whole path, as /dev/disk/by-path/pci-0000:03:00.0-ata-1"
        )
    elif not _DISK.fullmatch(text) or len(text) > 255:
        given.refuse(
            f"{shown(text)} is not a path of a disk", "write one path of letters, digits and ._:+@=- below /dev"
        )
    elif _NO_PLAIN_DISK.match(text):
        given.refuse(f"{text} is not a plain disk, and OCK starts from no other", "name the disk itself")
    elif _PARTITION.fullmatch(text):
        given.refuse(f"{text} is a partition", "name the whole disk")
    else:
        return text
    return None


def read_kernel_argument(given: Given) -> str | None:
    """Read one argument: no blanks, quotes, `$` or other characters that a script or GRUB would interpret."""
    text = given.text()
    if text is None:
        return None
    if not _KERNEL_ARGUMENT.fullmatch(text) or len(text) > 512:
        cure = "write one argument per item, of letters, digits and ._:,=/@+%~!-"
        given.refuse(f"{shown(text)} is not safe on a kernel line", cure)
    elif _OUR_ARGUMENTS.fullmatch(text):
        given.refuse(f"{shown(text)} is written by netboot itself", "remove it")
    else:
        return text
    return None


def read_ssh_key(given: Given) -> str | None:
    """Read one public key of OpenSSH, without options before it."""
    text = given.text()
    if text is None:
        return None
    if "PRIVATE KEY" in text:
        given.refuse("is a private key", "give the public one, the line in the .pub file")
    elif not _SSH_KEY.fullmatch(text) or len(text) > 8192:
        given.refuse(f"{shown(text, limit=24)} is not a public SSH key", "copy the one line of a .pub file")
    else:
        return text
    return None


def read_ntp_server(given: Given) -> str | None:
    """Read the IPv4 address or the name of a time server."""
    text = given.text()
    if text is None:
        return None
    if _is_like_address(text):
        address = read_address(given)
        return None if address is None else str(address)
    if DOMAIN_NAME.fullmatch(text) and not text.rpartition(".")[2].isdecimal():
        return text
    given.refuse(f"{shown(text)} is not a time server", "write an IPv4 address or a name, as ntp.example.com")
    return None


def read_timezone(given: Given) -> str | None:
    """Read the name of a time zone of this system's database."""
    text = given.text()
    if text is None or text == "UTC":
        return text
    try:
        if _TIMEZONE.fullmatch(text):
            return zoneinfo.ZoneInfo(text).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory, as America
        pass
    near = nearest(text, zoneinfo.available_timezones())
    cure = f"did you mean {near}?" if near else "write one of /usr/share/zoneinfo, as Europe/Berlin, or UTC"
    given.refuse(f"no such time zone {shown(text)}", cure)
    return None


def read_interface_name(given: Given) -> str | None:
    """Read the name that the installed system gives a card."""
    text = given.text()
    if text is None or INTERFACE_NAME.fullmatch(text):
        return text
    given.refuse(f"{shown(text)} is not a name of an interface", "write one of at most 15 characters, as enp1s0")
    return None


def read_address(given: Given) -> IPv4Address | None:
    """Read the IPv4 address of one machine."""
    text = given.text()
    if text is None:
        return None
    try:
        address = IPv4Address(text)
    except ValueError:
        given.refuse(f"{shown(text)} is not an IPv4 address", "write one, as 192.0.2.1 (IPv6 is not there yet)")
        return None
    if (
        address.is_multicast
        or address.is_unspecified
        or address.is_loopback
        or address == IPv4Address("255.255.255.255")
    ):
        given.refuse(f"{address} is the address of no other machine", "write a unicast address, as 192.0.2.1")
        return None
    return address


def read_interface_address(given: Given) -> IPv4Interface | None:
    """Read an address with its prefix; the first and the last of a network belong to no machine."""
    text = given.text()
    if text is None:
        return None
    try:
        interface = IPv4Interface(text)
    except ValueError:
        given.refuse(f"{shown(text)} is not an IPv4 address", "write it as 192.0.2.101/24 (IPv6 is not there yet)")
        return None
    network = interface.network
    if not _ADDRESS.fullmatch(text) or network.prefixlen == 0:
        given.refuse(f"{shown(text)} has no prefix length", f"write it as {interface.ip}/24")
    elif interface.is_multicast or interface.is_loopback or interface.ip.is_unspecified:
        given.refuse(f"{text} is not a unicast address", "write it as 192.0.2.101/24")
    elif network.prefixlen < 31 and interface.ip in (network.network_address, network.broadcast_address):
        kind = "network" if interface.ip == network.network_address else "broadcast"
        given.refuse(f"{text} is the {kind} address of {network}", "give the machine one of its own")
    else:
        return interface
    return None


def read_loader(given: Given) -> str | None:
    """Read the name of a loader below `bootfiles.directories`."""
    text = given.text()
    if text is None or LOADER_NAME.fullmatch(text):
        return text
    given.refuse(f"{shown(text)} is not a name of a boot file", LOADER_NAME_CURE)
    return None


def read_firmware(given: Given) -> ReplyVariant | None:
    """Read the reply variant for a firmware."""
    text = given.text()
    if text is None:
        return None
    try:
        return ReplyVariant(text)
    except ValueError:
        given.refuse(f"no such reply variant {shown(text)}", did_you_mean(text, ReplyVariant))
        return None


def read_rom_ipxe(given: Given) -> RomIpxe | None:
    """Read how an iPXE in the card's ROM is treated."""
    text = given.text()
    if text is None:
        return None
    try:
        return RomIpxe(text)
    except ValueError:
        given.refuse(f"no such value of rom_ipxe {shown(text)}", did_you_mean(text, RomIpxe))
        return None


def read_path(given: Given) -> Path | None:
    """Read the path of a file, relative to the file that contains it."""
    text = given.text()
    return None if text is None else beside(Path(text), given.place.file)


def _is_like_address(name: str) -> bool:
    return all(label.isdecimal() for label in name.split("."))
