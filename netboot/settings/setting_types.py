"""The types of settings: how each is read, validated and named in the documentation.

A refusal is a `PydanticCustomError` whose context carries the cure; `settings_file` gives it its place.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from netboot.model.boot.boot_client import ARCH_NAMES, LARGEST_ARCH, Cpu, arch_name, arch_named
from netboot.model.install.install import MOST_ATTEMPTS
from netboot.model.lease import AddressRange
from netboot.yamlfile.faults import did_you_mean, shown
from netboot.yamlfile.nodes import Scalar

INTERFACE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,14}")  # IFNAMSIZ without its zero byte
DOMAIN_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
LARGEST_POOL: Final = 1024  # of addresses; it is for the few unregistered machines
# A name below `bootfiles.directories`: no `..`, no leading slash, nothing that a packet or URL would change.
LOADER_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")
LOADER_NAME_CURE: Final = "write one below bootfiles.directories, as snponly.efi or grub/grubx64.efi"
LOADER_CPUS: Final = (*Cpu, *(f"{cpu}-http" for cpu in Cpu if cpu is not Cpu.X86_BIOS))
LOADER_ARCHES: Final = (*LOADER_CPUS, *(name for name in ARCH_NAMES.values() if name not in LOADER_CPUS))
LOOPBACK: Final = IPv4Address("127.0.0.1")
BROADCAST: Final = IPv4Address("255.255.255.255")
_ARCH_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,9}|0x[0-9A-Fa-f]{1,8}")
_POOL_KEYS: Final = ("range", "network", "router")
_POOL_EXAMPLE: Final = "{range: 198.51.100.100-198.51.100.120, network: 198.51.100.0/24, router: 198.51.100.1}"
_WEB_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?")  # goes into kernel lines
_STORE_SCHEMES: Final = ("sqlite+aiosqlite", "postgresql+asyncpg")


@dataclass(frozen=True, slots=True)
class SettingKind:
    """The name of a type in the documentation."""

    text: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port to listen on."""

    address: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


def refuse(what: str, cure: str) -> PydanticCustomError:
    """Make a validator's error from the two parts of a message."""
    return PydanticCustomError("netboot", "{what}", {"what": what, "cure": cure})


def text_of(value: Any) -> Any:
    """Return the text of a scalar as written; leave every other value to pydantic."""
    if isinstance(value, Scalar):
        if value.is_null:
            raise refuse("is empty", "write a value or remove the key")
        return value.text
    return value


def whole_number(lowest: int, highest: int) -> Callable[[Any], Any]:
    """Make a reader of whole numbers between two bounds."""

    def read(value: Any) -> Any:
        if isinstance(value, Scalar):
            written, value = text_of(value), value.as_integer()
            if value is None:
                raise refuse(f"{shown(written)} is not a whole number", f"write one from {lowest} to {highest}")
        if isinstance(value, int) and not lowest <= value <= highest:
            raise refuse(f"{value} is out of range", f"write a whole number from {lowest} to {highest}")
        return value

    return read


def _flag(value: Any) -> Any:
    if not isinstance(value, Scalar):
        return value
    written, boolean = text_of(value), value.as_boolean()
    if boolean is None:
        raise refuse(f"{shown(written)} is neither true nor false", "write true or false")
    return boolean


def _address(value: Any) -> Any:
    text = text_of(value)
    if not isinstance(text, str):
        return text
    try:
        return IPv4Address(text)
    except ValueError:
        raise refuse(f"{shown(text)} is not an IPv4 address", "write one, as 192.0.2.10") from None


def _address_of_a_machine(value: Any) -> Any:
    address = _address(value)
    if isinstance(address, IPv4Address) and (
        address.is_multicast or address.is_unspecified or address.is_loopback or address == BROADCAST
    ):
        raise refuse(f"{address} is not an address that machines can reach", "write a unicast address, as 192.0.2.10")
    return address


def _interface(value: Any) -> Any:
    text = text_of(value)
    if isinstance(text, str) and not INTERFACE_NAME.fullmatch(text):
        raise refuse(f"{shown(text)} is not a name of an interface", "`ip link` shows their names")
    return text


def _path(value: Any, info: ValidationInfo) -> Any:
    text = text_of(value)
    if not isinstance(text, str | Path):
        return text
    if text == "":
        raise refuse("is empty", "write a path or remove the key")
    base: Path | None = (info.context or {}).get("directory")
    return base / text if base else Path(text)


def _address_range(value: Any) -> Any:
    text = text_of(value)
    if not isinstance(text, str):
        return text
    first, dash, last = text.partition("-")
    try:
        found = AddressRange(IPv4Address(first.strip()), IPv4Address((last if dash else first).strip()))
    except ValueError:
        raise refuse(f"{shown(text)} is not a range of addresses", "write it as 192.0.2.200-192.0.2.220") from None
    if found.last < found.first:
        raise refuse(f"{found} ends before it begins", "write the lower address first")
    if len(found) > LARGEST_POOL:
        raise refuse(f"{found} holds {len(found)} addresses", f"a pool holds {LARGEST_POOL} at most")
    return found


def _pool(value: Any) -> Any:
    """Read a range of addresses, or a table that states its network as well."""
    if not isinstance(value, dict):
        return _address_range(value)
    for key in value:
        if key not in _POOL_KEYS:
            raise refuse(f"{shown(str(key))} is not a part of a pool", did_you_mean(str(key), _POOL_KEYS))
    if "range" not in value or "network" not in value:
        raise refuse("has no range or no network", f"write {_POOL_EXAMPLE}")
    found, network = _address_range(value["range"]), _network(value["network"])
    router = _address(value["router"]) if "router" in value else None
    if not isinstance(found, AddressRange) or not isinstance(network, IPv4Network):
        raise refuse("has a list where one value belongs", f"write {_POOL_EXAMPLE}")
    for address in (found.first, found.last, router):
        if address is not None and (not isinstance(address, IPv4Address) or address not in _machines_of(network)):
            raise refuse(f"{address} is not an address of a machine in {network}", "correct the network or the address")
    return replace(found, network=network, router=router)


def _network(value: Any) -> Any:
    text = text_of(value)
    if not isinstance(text, str):
        return text
    try:
        if "/" not in text:
            raise ValueError
        return IPv4Network(text)
    except ValueError:
        raise refuse(
            f"{shown(text)} is not an IPv4 network", "write its first address and prefix: 192.0.2.0/24"
        ) from None


def _machines_of(network: IPv4Network) -> AddressRange:
    """Return the addresses that machines of a network may have: all but the network and broadcast addresses."""
    if network.prefixlen >= 31:
        return AddressRange(network.network_address, network.broadcast_address)
    return AddressRange(network.network_address + 1, network.broadcast_address - 1)


def apart(ranges: tuple[AddressRange, ...]) -> tuple[AddressRange, ...]:
    """Refuse ranges that share an address, and more addresses than a pool holds."""
    for before, after in pairwise(sorted(ranges, key=lambda each: each.first)):
        if after.first <= before.last:
            raise refuse(f"{before} and {after} share addresses", "write each address once")
    stated = sorted({each.network for each in ranges if each.network is not None})
    for one, other in pairwise(stated):
        if one.overlaps(other):
            raise refuse(f"the networks {one} and {other} overlap", "state one network for both")
    if sum(map(len, ranges)) > LARGEST_POOL:
        raise refuse(f"holds {sum(map(len, ranges))} addresses", f"a pool holds {LARGEST_POOL} at most")
    return ranges


def _domain(value: Any) -> Any:
    text = text_of(value)
    if isinstance(text, str) and not (len(text) <= 253 and DOMAIN_NAME.fullmatch(text)):
        raise refuse(f"{shown(text)} is not a name of a domain", "write it as rack.example.org")
    return text


def _endpoint(value: Any) -> Any:
    text = text_of(value)
    if not isinstance(text, str):
        return text
    address, colon, port = text.rpartition(":")
    try:
        if not colon or not port.isascii() or not port.isdecimal() or not 1 <= int(port[:6]) <= 65535:
            raise ValueError
        return Endpoint(ip_address(address.removeprefix("[").removesuffix("]")), int(port))
    except ValueError:
        raise refuse(f"{shown(text)} is not an address with a port", "write it as 127.0.0.1:8470") from None


def _loopback(endpoint: Endpoint) -> Endpoint:
    if not endpoint.address.is_loopback:
        cure = "use 127.0.0.1:8470 and reach it by an SSH tunnel"
        raise refuse(
            f"{endpoint} is beyond loopback, which needs TLS and authentication; they are not implemented yet", cure
        )
    return endpoint


def _store_url(value: Any, info: ValidationInfo) -> Any:
    text = text_of(value)
    if not isinstance(text, str):
        return text
    try:
        url = urlsplit(text)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in _STORE_SCHEMES:
        cure = "use sqlite+aiosqlite:////path/netboot.db or postgresql+asyncpg://user@server/netboot"
        raise refuse(f"the scheme {shown(url.scheme)} is not a supported database", cure)
    if url.scheme == "postgresql+asyncpg":
        return text
    prefix, path = "sqlite+aiosqlite:///", text.removeprefix("sqlite+aiosqlite:///")
    if not text.startswith(prefix) or path.startswith(":memory:") or not path:
        raise refuse("names no file", "an install must outlive the daemon; use sqlite+aiosqlite:////path/netboot.db")
    base: Path | None = (info.context or {}).get("directory")
    return f"{prefix}{base / path}" if base else text


def _loader_arch(value: Any) -> Any:
    """Read a CPU with its protocol, or one number of option 93, which becomes its name (`uboot-arm64`, `arch-99`)."""
    text = text_of(value)
    if not isinstance(text, str) or text in LOADER_CPUS:
        return text
    number = int(text, 0) if _ARCH_NUMBER.fullmatch(text) else arch_named(text)
    if number is None:
        raise refuse(f"no such architecture {shown(text)}", did_you_mean(text, LOADER_ARCHES))
    if number > LARGEST_ARCH:
        raise refuse(f"{text} is not an architecture of option 93", f"write a number from 0 to {LARGEST_ARCH}")
    return arch_name(number)


def _loader_name(value: Any) -> Any:
    text = text_of(value)
    if isinstance(text, str) and not LOADER_NAME.fullmatch(text):
        raise refuse(f"{shown(text)} is not a name of a boot file", LOADER_NAME_CURE)
    return text


def _oui(value: Any) -> Any:
    text = text_of(value)
    if not isinstance(text, str):
        return text
    digits = re.sub(r"[:.-]", "", text.lower())
    if not re.fullmatch(r"[0-9a-f]{6}", digits):
        raise refuse(f"{shown(text)} is not a first half of a MAC", 'write three bytes, as "3c:fd:fe"')
    return bytes.fromhex(digits).hex(":")


def _class_prefix(value: Any) -> Any:
    text = text_of(value)
    if isinstance(text, str) and not text.startswith(("PXEClient", "HTTPClient")):
        raise refuse(f"{shown(text)} is the class of no firmware", "write how it begins, as PXEClient:Arch:00007")
    return text


def _web_url(value: Any) -> Any:
    text = text_of(value)
    if not isinstance(text, str):
        return text
    cure = "write it as http://mirror.example.org/netboot, what lies before /content/ and /ostree/"
    try:
        url = urlsplit(text)
        is_web = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_web = False
    if not is_web or not _WEB_URL.fullmatch(text):
        raise refuse(f"{shown(text)} is not a URL of a web server", cure)
    return text.rstrip("/")


def choice(*, described: str) -> Any:
    """Return the annotations of an enumeration that is read from its text."""
    return BeforeValidator(text_of), SettingKind(described)


Port = Annotated[int, BeforeValidator(whole_number(1, 65535)), SettingKind("port, 1–65535")]
Count = Annotated[int, BeforeValidator(whole_number(1, 100_000)), SettingKind("whole number, at least 1")]
Attempts = Annotated[
    int, BeforeValidator(whole_number(1, MOST_ATTEMPTS)), SettingKind(f"whole number, 1–{MOST_ATTEMPTS}")
]
Rate = Annotated[
    int,
    BeforeValidator(whole_number(0, 1_000_000_000_000)),
    SettingKind("whole number of bytes per second, 0 for no limit"),
]
Flag = Annotated[bool, BeforeValidator(_flag), SettingKind("true or false")]
Address = Annotated[IPv4Address, BeforeValidator(_address), SettingKind("IPv4 address")]
OptionalAddress = Annotated[IPv4Address | None, BeforeValidator(_address)]
MachineAddress = Annotated[IPv4Address, BeforeValidator(_address_of_a_machine), SettingKind("IPv4 address")]
OptionalMachineAddress = Annotated[
    IPv4Address | None, BeforeValidator(_address_of_a_machine), SettingKind("IPv4 address")
]
Pool = Annotated[
    AddressRange,
    BeforeValidator(_pool),
    SettingKind("first and last address, 192.0.2.200-192.0.2.220, or {range, network, router}"),
]
LeaseSeconds = Annotated[int, BeforeValidator(whole_number(60, 31_536_000)), SettingKind("whole number, 60–31536000")]
Domain = Annotated[str | None, BeforeValidator(_domain), SettingKind("name of a domain")]
InterfaceName = Annotated[str, BeforeValidator(_interface), SettingKind("name of an interface")]
LocalPath = Annotated[Path, BeforeValidator(_path), SettingKind("path")]
LoopbackEndpoint = Annotated[
    Endpoint, AfterValidator(_loopback), BeforeValidator(_endpoint), SettingKind("loopback address with a port")
]
LoaderArch = Annotated[str, BeforeValidator(_loader_arch)]
LoaderName = Annotated[str, BeforeValidator(_loader_name)]
Oui = Annotated[str | None, BeforeValidator(_oui)]
ClassPrefix = Annotated[str | None, BeforeValidator(_class_prefix)]
WebUrl = Annotated[str | None, BeforeValidator(_web_url), SettingKind("URL")]
StoreUrl = Annotated[str, BeforeValidator(_store_url), SettingKind("URL")]


def kind_of(field: FieldInfo) -> str:
    """Return the name of a setting's type in the documentation."""
    for held in field.metadata:
        if isinstance(held, SettingKind):
            return held.text
    item = get_args(field.annotation)[0]  # of a tuple[Annotated[..., SettingKind], ...]
    return f"list: {next(held.text for held in get_args(item) if isinstance(held, SettingKind))}"


def written(default: object) -> str:
    """Return a default as it would be written in netboot.yaml."""
    match default:
        case tuple():
            return f"[{', '.join(map(written, default))}]"
        case bool():
            return str(default).lower()
        case None:
            return "none"
        case _:
            return str(default)
