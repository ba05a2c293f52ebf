"""The values that only settings have: pools, endpoints, URLs, and what chooses a loader."""

import re
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from netboot.model.boot.boot_client import ARCH_NAMES, LARGEST_ARCH, Cpu, arch_name, arch_named
from netboot.model.install.install import MOST_ATTEMPTS
from netboot.model.lease import AddressRange, is_address_in
from netboot.yamlfile.faults import beside, did_you_mean, shown
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import Section, described, refuse
from netboot.yamlfile.value_kinds import MachineAddress, ValueKind, matching, text_of, whole_number

LARGEST_POOL: Final = 1024  # of addresses; it is for the few unregistered machines
LOADER_CPUS: Final = (*Cpu, *(f"{cpu}-http" for cpu in Cpu if cpu is not Cpu.X86_BIOS))
LOADER_ARCHES: Final = (*LOADER_CPUS, *(name for name in ARCH_NAMES.values() if name not in LOADER_CPUS))
LOOPBACK: Final = IPv4Address("127.0.0.1")
_ARCH_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,9}|0x[0-9A-Fa-f]{1,8}")
_WEB_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?")  # goes into kernel lines
_CLASS: Final = re.compile("(PXE|HTTP)Client.*")
_STORE_SCHEMES: Final = ("sqlite+aiosqlite", "postgresql+asyncpg")


def _address_range(scalar: Scalar) -> AddressRange:
    first, dash, last = scalar.text.partition("-")
    try:
        found = AddressRange(IPv4Address(first.strip()), IPv4Address((last if dash else first).strip()))
    except ValueError:
        what = f"{shown(scalar.text)} is not a range of addresses"
        raise refuse(what, "write it as 192.0.2.200-192.0.2.220") from None
    if found.last < found.first:
        raise refuse(f"{found} ends before it begins", "write the lower address first")
    if len(found) > LARGEST_POOL:
        raise refuse(f"{found} holds {len(found)} addresses", f"a pool holds {LARGEST_POOL} at most")
    return found


def _network(scalar: Scalar) -> IPv4Network:
    try:
        if "/" not in scalar.text:
            raise ValueError
        return IPv4Network(scalar.text)
    except ValueError:
        what = f"{shown(scalar.text)} is not an IPv4 network"
        raise refuse(what, "write its first address and prefix: 192.0.2.0/24") from None


class SettingSection(Section):
    """A section of `netboot.yaml`, or a part of one."""

    noun = "setting"


_RANGE: Final = ValueKind(_address_range, "range of addresses")
_NETWORK: Final = ValueKind(_network, "network", {"type": "string", "format": "ipv4network"})


class Pool(SettingSection):
    """A range of addresses; as a table, with its network."""

    range: Annotated[AddressRange, _RANGE] = Field(
        description="The first and last address.", examples=["198.51.100.100-198.51.100.120"]
    )
    network: Annotated[IPv4Network, _NETWORK] | None = Field(description="Their network.", examples=["198.51.100.0/24"])
    router: MachineAddress | None = described(None, "The router in its leases.")

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"range": value, "network": None}

    @model_validator(mode="after")
    def _in_its_network(self) -> Self:
        for address in (self.range.first, self.range.last, self.router):
            if address and self.network and not is_address_in([self.network], address):
                what = f"{address} is not an address of a machine in {self.network}"
                raise refuse(what, "correct the network or the address")
        return self


def apart(pools: tuple[Pool, ...]) -> tuple[Pool, ...]:
    """Refuse pools that share an address, and more addresses than a pool holds."""
    ranges = sorted((pool.range for pool in pools), key=lambda each: each.first)
    for before, after in pairwise(ranges):
        if after.first <= before.last:
            raise refuse(f"{before} and {after} share addresses", "write each address once")
    stated = sorted({pool.network for pool in pools if pool.network is not None})
    for one, other in pairwise(stated):
        if one.overlaps(other):
            raise refuse(f"the networks {one} and {other} overlap", "state one network for both")
    if sum(map(len, ranges)) > LARGEST_POOL:
        raise refuse(f"holds {sum(map(len, ranges))} addresses", f"a pool holds {LARGEST_POOL} at most")
    return pools


def _every_address(scalar: Scalar) -> int:
    """Read the port of a listener that is on each address of `network.interfaces`."""
    address, colon, port = scalar.text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or not 1 <= int(port[:6]) <= 65535:
        raise refuse(f"{shown(scalar.text)} has no port", "write it as 0.0.0.0:514")
    if colon and address != "0.0.0.0":
        raise refuse(
            f"{shown(address)} is one address, and logs are received on each of network.interfaces",
            f"write it as 0.0.0.0:{int(port)}",
        )
    return int(port)


def _store_url(scalar: Scalar) -> str:
    text = scalar.text
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
    return f"{prefix}{beside(Path(path), scalar.place.file)}"


def _loader_arch(scalar: Scalar) -> str:
    """Read a CPU with its protocol, or one number of option 93, which becomes its name (`uboot-arm64`, `arch-99`)."""
    text = scalar.text
    if text in LOADER_CPUS:
        return text
    number = int(text, 0) if _ARCH_NUMBER.fullmatch(text) else arch_named(text)
    if number is None:
        raise refuse(f"no such architecture {shown(text)}", did_you_mean(text, LOADER_ARCHES))
    if number > LARGEST_ARCH:
        raise refuse(f"{text} is not an architecture of option 93", f"write a number from 0 to {LARGEST_ARCH}")
    return arch_name(number)


def _oui(scalar: Scalar) -> str:
    digits = re.sub(r"[:.-]", "", scalar.text.lower())
    if not re.fullmatch(r"[0-9a-f]{6}", digits):
        raise refuse(f"{shown(scalar.text)} is not a first half of a MAC", 'write three bytes, as "3c:fd:fe"')
    return bytes.fromhex(digits).hex(":")


def _web_url(scalar: Scalar) -> str:
    text = scalar.text
    try:
        is_web = _WEB_URL.fullmatch(text) is not None and urlsplit(text).port != 0
    except ValueError:  # a port beyond 65535
        is_web = False
    if not is_web:
        cure = "write it as http://mirror.example.org/netboot, what lies before /content/ and /ostree/"
        raise refuse(f"{shown(text)} is not a URL of a web server", cure)
    return text.rstrip("/")


Port = Annotated[int, whole_number(1, 65535, "port, 1–65535")]
Count = Annotated[int, whole_number(1, 100_000, "whole number, at least 1")]
Attempts = Annotated[int, whole_number(1, MOST_ATTEMPTS, f"whole number, 1–{MOST_ATTEMPTS}")]
Budget = Annotated[int, whole_number(64 << 20, 10**15, "whole number of bytes, at least 67108864")]
Rate = Annotated[int, whole_number(0, 10**12, "whole number of bytes per second, 0 for no limit")]
ScrubDays = Annotated[int, whole_number(0, 365, "whole number of days, 0–365; 0 never")]
LeaseSeconds = Annotated[int, whole_number(60, 31_536_000, "whole number, 60–31536000")]
_EVERY_ADDRESS: Final = {"type": ["string", "integer", "null"]}
EveryAddress = Annotated[int, ValueKind(_every_address, "0.0.0.0 with a port, or empty", _EVERY_ADDRESS, empty=0)]
LoaderArch = Annotated[str, ValueKind(_loader_arch, "architecture", {"type": ["string", "integer"]})]
Oui = Annotated[str, ValueKind(_oui, "first half of a MAC")]
ClassPrefix = Annotated[
    str, text_of(_CLASS, "class of a firmware", cure="write how it begins, as PXEClient:Arch:00007")
]
WebUrl = Annotated[str, ValueKind(_web_url, "URL", matching(_WEB_URL))]
StoreUrl = Annotated[str, ValueKind(_store_url, "URL", {"type": "string", "pattern": "^(sqlite|postgresql)[+]"})]
