"""The values of a host: how each is read, its name and its JSON Schema.

The values are written into iPXE scripts, kernel lines, Kickstarts (shell, as root) and Ignition. So each kind has a
fixed set of characters, and a value that could end a quotation, a line or a word is refused, with its place and cure.
"""

import re
import zoneinfo
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_network,
)
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from netboot.model.host.disk_rule import DiskChoice
from netboot.model.host.firmware import LocalBootMethod, ReplyVariant, RomIpxe
from netboot.model.host.host import HostName, InstallRequire, Role
from netboot.model.host.mac import Mac
from netboot.yamlfile.faults import did_you_mean, nearest, shown
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import refuse
from netboot.yamlfile.value_kinds import (
    DOMAIN_NAME,
    ValueKind,
    choice,
    matching,
    read_machine_address,
    text_of,
    whole_number,
)

_RELEASE_URL: Final = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[A-Za-z0-9._~%+-]+)*/?")
_REF: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_REGISTRY_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_REGISTRY: Final = re.compile(rf"{_REGISTRY_HOST}(\.{_REGISTRY_HOST})*(:[0-9]{{1,5}})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST_NAME_LIMIT: Final = 64  # HOST_NAME_MAX of Linux; RFC 1123 would allow 253
_DISK: Final = re.compile(r"/dev(/[A-Za-z0-9_][A-Za-z0-9._:+@=-]*)+")
_DISK_TEXT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:+/()-]*")
_DISK_TEXT_CURE: Final = "copy it from lsblk --output NAME,MODEL,SERIAL,WWN"
_SIZE: Final = re.compile(r"([0-9]{1,9})(GB?|TB?|GiB|TiB)")
_UNITS: Final = {"G": 10**9, "GB": 10**9, "T": 10**12, "TB": 10**12, "GiB": 2**30, "TiB": 2**40}
_NO_PLAIN_DISK: Final = re.compile(r"/dev/(mapper/|md|dm-|loop|sr[0-9])")
_PARTITION: Final = re.compile(r".*-part[0-9]+|/dev/([svh]|xv)d[a-z]+[0-9]+|/dev/(nvme[0-9]+n|mmcblk)[0-9]+p[0-9]+")
_KERNEL_ARGUMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:,=/@+%~!-]*")
_OUR_ARGUMENTS: Final = re.compile(r"(inst\.(ks|stage2)|ignition\.[a-z.]+|initrd|BOOTIF)(=.*)?")
_KEY_TYPES: Final = (
    r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
_SSH_KEY: Final = re.compile(rf"({_KEY_TYPES}) AAAA[A-Za-z0-9+/]+={{0,3}}( [^\"'\\`$<>|;&]+)?")
_TIMEZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_BOND_OPTION: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_BOND_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")  # no `,` and `=`, which dracut splits at
_LONGEST_VARIABLE: Final = 1024
_LONGEST_ETHERNET: Final = 14  # digits: a hardware type, then the address
_GROUP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LABEL_KEY: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
_LABEL_TEXT: Final = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,61}[A-Za-z0-9])?"
)  # no `,` and `=`, which selectors use
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")  # a name in a template
_ADDRESS: Final = re.compile(r"[0-9.]+/[0-9]{1,2}")


class BondModeName(StrEnum):
    """The modes of the kernel's bonding driver."""

    ACTIVE_BACKUP = "active-backup"
    LACP = "802.3ad"
    BALANCE_RR = "balance-rr"
    BALANCE_XOR = "balance-xor"
    BROADCAST = "broadcast"
    BALANCE_TLB = "balance-tlb"
    BALANCE_ALB = "balance-alb"


def host_name(name: str) -> HostName:
    """Read a host's name: an RFC 1123 label or dotted labels, in lower case as Kubernetes requires for nodes."""
    if len(name) > _HOST_NAME_LIMIT:
        raise refuse(f"is {len(name)} characters long", f"Linux takes a host name of {_HOST_NAME_LIMIT} at most")
    if _is_like_address(name) or name.partition(".")[0] == "localhost":
        raise refuse(f"{shown(name)} cannot name a machine", "give it a name of its own, as cp1")
    if all(_LABEL.fullmatch(label) for label in name.split(".")):
        return HostName(name)
    if name != name.lower():
        raise refuse(f"{shown(name)} has capital letters, which Kubernetes refuses", f"write {name.lower()}")
    raise refuse(f"{shown(name)} is not a host name", "use letters, digits and hyphens, as cp1 or cp1.example.com")


def _key(pattern: re.Pattern[str], noun: str, cure: str) -> Callable[[str], str]:
    """Make the reader of the names of one kind."""

    def read(name: str) -> str:
        if not pattern.fullmatch(name):
            raise refuse(f"{shown(name)} is not a name of a {noun}", f"use {cure}")
        return name

    return read


def _variable(scalar: Scalar) -> str:
    """Read a text; the parser of YAML refuses control characters, and the template quotes the rest."""
    if len(scalar.text) > _LONGEST_VARIABLE:
        raise refuse(f"has {len(scalar.text)} characters", f"write {_LONGEST_VARIABLE} at most")
    return scalar.text


def _role_name(name: str) -> Role:
    if name not in list(Role):
        raise refuse("no such role", did_you_mean(name, Role))
    return Role(name)


def _mac(scalar: Scalar) -> Mac:
    """Read the address of a card in any usual notation: Ethernet, or the GUID of an InfiniBand port."""
    try:
        return Mac.parse(scalar.text)
    except ValueError:
        cure = "write the card's own, as 52:54:00:aa:bb:01"
        if len(re.sub(r"[:.-]", "", scalar.text)) > _LONGEST_ETHERNET:
            cure += ", or of an InfiniBand port the GUID of 8 bytes, the last 8 of its 20, as b8:ce:f6:03:00:31:33:3e"
        raise refuse(f"{shown(scalar.text)} is not a unicast MAC address", cure) from None


def _one_or_several(value: Any) -> Any:
    if value == []:
        raise refuse("is empty", "write the address of the card that boots")
    return value if isinstance(value, list) else [value]


def _disk(scalar: Scalar) -> str:
    text = scalar.text
    if not text.startswith("/dev/"):
        cure = "write the whole path, as /dev/disk/by-path/pci-0000:03:00.0-ata-1"
        raise refuse(f"{shown(text)} is not below /dev", cure)
    if not _DISK.fullmatch(text) or len(text) > 255:
        cure = "write one path of letters, digits and ._:+@=- below /dev"
        raise refuse(f"{shown(text)} is not a path of a disk", cure)
    if _NO_PLAIN_DISK.match(text):
        raise refuse(f"{text} is not a plain disk, and OCK starts from no other", "name the disk itself")
    if _PARTITION.fullmatch(text):
        raise refuse(f"{text} is a partition", "name the whole disk")
    return text


def _release_url(scalar: Scalar) -> str:
    """Read the URL of an OSTree archive; it stays in the configuration of the node, so it may hold no secret."""
    text = scalar.text
    if not _RELEASE_URL.fullmatch(text) or len(text) > 255:
        cure = "write http://HOST[:PORT]/PATH or https://…, without user, query and fragment"
        raise refuse(f"{shown(text)} is not the URL of an archive", cure)
    return text.removesuffix("/")


def _registry(text: str) -> str:
    """Read a registry, or a part of one, as the name of an image begins: no scheme, tag or digest."""
    if not _REGISTRY.fullmatch(text) or len(text) > 255:
        cure = "write HOST[:PORT][/PATH] without scheme and tag, as container-registry.oracle.com/olcne"
        raise refuse(f"{shown(text)} is not a container registry", cure)
    return text


def _size(scalar: Scalar) -> int:
    """Read a size with its unit, in bytes; without `i` the unit is decimal, as disks are sold."""
    found = _SIZE.fullmatch(scalar.text)
    if found is None:
        raise refuse(f"{shown(scalar.text)} is not a size", "write it as 400GB, 2TB or 500GiB")
    return int(found[1]) * _UNITS[found[2]]


def _kernel_argument(scalar: Scalar) -> str:
    """Read one argument: no blanks, quotes, `$` or other characters that a script or GRUB would interpret."""
    text = scalar.text
    if not _KERNEL_ARGUMENT.fullmatch(text) or len(text) > 512:
        cure = "write one argument per item, of letters, digits and ._:,=/@+%~!-"
        raise refuse(f"{shown(text)} is not safe on a kernel line", cure)
    if _OUR_ARGUMENTS.fullmatch(text):
        raise refuse(f"{shown(text)} is written by netboot itself", "remove it")
    return text


def _ssh_key(scalar: Scalar) -> str:
    """Read one public key of OpenSSH, without options before it."""
    text = scalar.text
    if "PRIVATE KEY" in text:
        raise refuse("is a private key", "give the public one, the line in the .pub file")
    if not _SSH_KEY.fullmatch(text) or len(text) > 8192:
        raise refuse(f"{shown(text, limit=24)} is not a public SSH key", "copy the one line of a .pub file")
    return text


def _ntp_server(scalar: Scalar) -> str:
    if _is_like_address(scalar.text):
        return str(read_machine_address(scalar))
    if not DOMAIN_NAME.fullmatch(scalar.text) or scalar.text.rpartition(".")[2].isdecimal():
        cure = "write an IPv4 address or a name, as ntp.example.com"
        raise refuse(f"{shown(scalar.text)} is not a time server", cure)
    return scalar.text


def _timezone(scalar: Scalar) -> str:
    """Read the name of a time zone of this system's database."""
    text = scalar.text
    if text == "UTC":
        return text
    try:
        if _TIMEZONE.fullmatch(text):
            return zoneinfo.ZoneInfo(text).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory, as America
        pass
    near = nearest(text, zoneinfo.available_timezones())
    cure = f"did you mean {near}?" if near else "write one of /usr/share/zoneinfo, as Europe/Berlin, or UTC"
    raise refuse(f"no such time zone {shown(text)}", cure)


def _address_with_prefix(scalar: Scalar) -> IPv4Interface:
    """Read an address with its prefix; the first and the last of a network belong to no machine."""
    text = scalar.text
    try:
        interface = IPv4Interface(text)
    except ValueError:
        cure = "write it as 192.0.2.101/24; one of IPv6 is address6"
        raise refuse(f"{shown(text)} is not an IPv4 address", cure) from None
    network = interface.network
    if not _ADDRESS.fullmatch(text) or network.prefixlen == 0:
        raise refuse(f"{shown(text)} has no prefix length", f"write it as {interface.ip}/24")
    if interface.is_multicast or interface.is_loopback or interface.ip.is_unspecified:
        raise refuse(f"{text} is not a unicast address", "write it as 192.0.2.101/24")
    if network.prefixlen < 31 and interface.ip in (network.network_address, network.broadcast_address):
        kind = "network" if interface.ip == network.network_address else "broadcast"
        raise refuse(f"{text} is the {kind} address of {network}", "give the machine one of its own")
    return interface


def _address6(scalar: Scalar) -> IPv6Address:
    try:
        address = IPv6Address(scalar.text)
    except ValueError:
        raise refuse(f"{shown(scalar.text)} is not an IPv6 address", "write one, as 2001:db8::1") from None
    if address.is_multicast or address.is_loopback or address.is_unspecified or address.scope_id:
        raise refuse(f"{address} is not an address that machines can reach", "write a unicast address, as 2001:db8::1")
    return address


def _any_address(scalar: Scalar) -> IPv4Address | IPv6Address:
    return _address6(scalar) if ":" in scalar.text else read_machine_address(scalar)


def _address6_with_prefix(scalar: Scalar) -> IPv6Interface:
    address, _, length = scalar.text.partition("/")
    ip = _address6(replace(scalar, text=address))
    if not length.isdecimal() or not 1 <= int(length) <= 128:
        raise refuse(f"{shown(scalar.text)} has no prefix length", f"write it as {ip}/64")
    if ip.is_link_local:
        raise refuse(f"{ip} is a link-local address, which every card makes itself", "write a global one")
    return IPv6Interface((ip, int(length)))


def _network(scalar: Scalar) -> IPv4Network | IPv6Network:
    try:
        return ip_network(scalar.text, strict=True)
    except ValueError as error:
        if "host bits" in str(error):
            cure = f"write {ip_network(scalar.text, strict=False)}"
            raise refuse(f"{shown(scalar.text)} is an address in a network", cure) from None
        raise refuse(f"{shown(scalar.text)} is not a network", "write it as 198.51.100.0/24") from None


def is_label(key: str, text: str) -> bool:
    """Return whether a host can have this label."""
    return bool(_LABEL_KEY.fullmatch(key) and _LABEL_TEXT.fullmatch(text))


def _is_like_address(name: str) -> bool:
    return all(label.isdecimal() for label in name.split("."))


HostKey = Annotated[HostName, PlainValidator(host_name), WithJsonSchema({"type": "string"})]
GroupKey = Annotated[
    str,
    PlainValidator(_key(_GROUP, "group", "letters, digits, hyphens and underscores")),
    WithJsonSchema({"type": "string"}),
]
PoolKey = Annotated[
    str,
    PlainValidator(_key(_GROUP, "pool", "letters, digits, hyphens and underscores")),
    WithJsonSchema({"type": "string"}),
]
LabelKey = Annotated[
    str, PlainValidator(_key(_LABEL_KEY, "label", "letters, digits and ._/-")), WithJsonSchema({"type": "string"})
]
VariableKey = Annotated[
    str,
    PlainValidator(_key(_VARIABLE, "variable", "letters, digits and underscores")),
    WithJsonSchema({"type": "string"}),
]
LabelText = Annotated[str, text_of(_LABEL_TEXT, "value of a label", cure="use letters, digits and ._:- , 63 at most")]
VariableText = Annotated[str, ValueKind(_variable, "text of one line")]
HostNameText = Annotated[str, ValueKind(lambda scalar: host_name(scalar.text), "host name")]
RoleKey = Annotated[Role, PlainValidator(_role_name), WithJsonSchema({"type": "string", "enum": [*Role]})]
RoleName = Annotated[Role, choice(Role, "role")]
MacAddress = Annotated[Mac, ValueKind(_mac, "MAC")]
MacAddresses = Annotated[
    tuple[MacAddress, ...],
    BeforeValidator(_one_or_several),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}),
]
FirstHost = Annotated[str, ValueKind(lambda scalar: scalar.text, "name of a host")]
GroupName = Annotated[str, ValueKind(lambda scalar: scalar.text, "name of a group")]
PoolName = Annotated[str, ValueKind(lambda scalar: scalar.text, "name of an address pool")]
ReleaseUrl = Annotated[str, ValueKind(_release_url, "URL of an OSTree archive", matching(_RELEASE_URL))]
RegistryKey = Annotated[str, PlainValidator(_registry), WithJsonSchema({"type": "string"})]
RegistryLocation = Annotated[
    str, ValueKind(lambda scalar: _registry(scalar.text), "container registry", matching(_REGISTRY))
]
Ref = Annotated[str, text_of(_REF, "ref of an OSTree archive", cure="write it as ostree refs lists it, as ock")]
DISK_PATTERN: Final[str] = matching(_DISK)["pattern"]
DiskPath = Annotated[str, ValueKind(_disk, "path of a disk", matching(_DISK))]
DiskText = Annotated[str, text_of(_DISK_TEXT, "text that a disk can report", cure=_DISK_TEXT_CURE, longest=64)]
DiskSize = Annotated[int, ValueKind(_size, "size", matching(_SIZE))]
DiskChoiceName = Annotated[DiskChoice, choice(DiskChoice, "choice")]
KernelArgument = Annotated[str, ValueKind(_kernel_argument, "kernel argument", matching(_KERNEL_ARGUMENT))]
SshKey = Annotated[str, ValueKind(_ssh_key, "public SSH key")]
NtpServer = Annotated[str, ValueKind(_ntp_server, "time server")]
TimeZone = Annotated[str, ValueKind(_timezone, "time zone")]
Address6 = Annotated[IPv6Address, ValueKind(_address6, "IPv6 address", {"type": "string", "format": "ipv6"})]
AnyAddress = Annotated[IPv4Address | IPv6Address, ValueKind(_any_address, "address")]
Address6WithPrefix = Annotated[IPv6Interface, ValueKind(_address6_with_prefix, "IPv6 address with prefix length")]
Network = Annotated[IPv4Network | IPv6Network, ValueKind(_network, "network")]
Mtu = Annotated[int, whole_number(1280, 65535, "MTU, 1280–65535")]  # IPv6 needs 1280
Vlan = Annotated[int, whole_number(1, 4094, "VLAN, 1–4094")]
BondMode = Annotated[str, choice(BondModeName, "mode of a bond")]
BondOption = Annotated[str, PlainValidator(_key(_BOND_OPTION, "bond option", "small letters and underscores"))]
BondValue = Annotated[str, text_of(_BOND_VALUE, "value of a bond option", cure="use letters, digits and ._:+-")]
AddressWithPrefix = Annotated[
    IPv4Interface, ValueKind(_address_with_prefix, "address with prefix length", matching(_ADDRESS))
]
Firmware = Annotated[ReplyVariant, choice(ReplyVariant, "reply variant")]
RomIpxeUse = Annotated[RomIpxe, choice(RomIpxe, "value of rom_ipxe")]
LocalBootUse = Annotated[LocalBootMethod, choice(LocalBootMethod, "method of local boot")]
RequiredForInstall = Annotated[InstallRequire, choice(InstallRequire, "value of install_require")]
