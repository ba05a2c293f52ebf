"""Compares a live answer with the recorded one: every field that the appliance decides. Pure.

What belongs to one LAN or one boot is replaced before (addresses, the machine's MAC), or not compared: the transaction,
addresses that a server leases, its times and routers, tokens, and the size of documents.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from netboot.model.install.event import Step
from netboot.model.words import printable_line
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer

# Of the LAN and its leases: mask, router, name servers, host and domain name, broadcast, lease times.
_OF_THE_LAN: Final = frozenset({1, 3, 6, 12, 15, 28, 42, 51, 58, 59})
_SERVER_ID: Final = 54
_TEXTS: Final = frozenset({66, 67})
_ADDRESS: Final = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_COMPARED_FIELDS: Final = ("content-type", "accept-ranges", "transfer-encoding", "content-encoding", "retry-after")


@dataclass(frozen=True, slots=True)
class ReplayDifference:
    """One thing that is not as it was recorded."""

    step: Step
    what: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded}, now {self.now}"


@dataclass(frozen=True, slots=True)
class Substitutions:
    """What differs between the recorded LAN and this one: addresses of servers and machine, and the machine's MAC."""

    addresses: Mapping[IPv4Address, IPv4Address]
    recorded_mac: str
    mac: str
    identities: tuple[bytes, bytes] = (b"", b"")  # option 97, as recorded and now

    def text(self, recorded: str) -> str:
        """Return a recorded text, such as a URL, as it is on this LAN."""
        known = {str(was): str(now) for was, now in self.addresses.items()}
        recorded = _ADDRESS.sub(lambda found: known.get(found[0], found[0]), recorded)
        for mark in (":", "-", ""):
            recorded = recorded.replace(self.recorded_mac.replace(":", mark), self.mac.replace(":", mark))
        return recorded

    def address(self, recorded: IPv4Address) -> IPv4Address:
        """Return the address that plays the part of a recorded one."""
        return self.addresses.get(recorded, recorded)


def dhcp_differences(
    recorded: DhcpAnswer, now: DhcpAnswer | None, what: str, *, step: Step, here: Substitutions
) -> Iterator[ReplayDifference]:
    """Yield what differs between two replies of the appliance to the same message."""
    if now is None:
        yield ReplayDifference(step, what, str(recorded), "no reply")
        return
    was, found = _header(recorded, here), _header(now, None)
    for name, value in was.items():
        if found[name] != value:
            yield ReplayDifference(step, f"{what}, {name}", value, found[name])
    for code in sorted({*recorded.options, *now.options} - _OF_THE_LAN):
        before, after = (_option(each, code, known) for each, known in ((recorded, here), (now, None)))
        if before != after:
            yield ReplayDifference(step, f"{what}, option {code}", before, after)
    if now.encoding_faults != recorded.encoding_faults:
        yield ReplayDifference(
            step, f"{what}, encoding", "; ".join(recorded.encoding_faults) or "right", "; ".join(now.encoding_faults)
        )


def _header(answer: DhcpAnswer, here: Substitutions | None) -> dict[str, str]:
    data = answer.data
    siaddr = here.address(answer.siaddr) if here is not None else answer.siaddr
    return {
        "op": str(answer.op),
        "htype": str(data[1]),
        "hlen": str(answer.hlen),
        "flags": f"0x{data[10]:02x}{data[11]:02x}",
        "the lease in yiaddr": "an address" if answer.is_lease else "none",
        "siaddr": str(siaddr),
        "file": _shown(answer.file, here),
        "source port": str(answer.source_port),
    }


def _option(answer: DhcpAnswer, code: int, here: Substitutions | None) -> str:
    value = answer.options.get(code)
    if value is None:
        return "none"
    if code == _SERVER_ID and len(value) == 4:
        address = IPv4Address(value)
        return str(here.address(address) if here is not None else address)
    if code in _TEXTS:
        return _shown(value.rstrip(b"\0").decode("latin-1"), here)
    if here is not None:
        value = value.replace(_raw(here.recorded_mac), _raw(here.mac))
        value = here.identities[1] if value == here.identities[0] else value
    return value.hex(" ")


def _raw(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _shown(text: str, here: Substitutions | None) -> str:
    return printable_line(here.text(text) if here is not None else text) or "none"


def option_differences(
    recorded: Sequence[tuple[str, str]], now: Mapping[str, str], what: str
) -> Iterator[ReplayDifference]:
    """Yield what differs between two OACKs. The size of a file is content, not protocol: only its presence counts."""
    was = {name.lower(): value for name, value in recorded}
    for name in dict.fromkeys([*was, *now]):
        before, after = (each.get(name, "none") for each in (was, now))
        is_same = (before == "none") == (after == "none") if name == "tsize" else before == after
        if not is_same:
            yield ReplayDifference(Step.LOADER, f"{what}, {name}", before, after)


def http_differences(
    recorded: tuple[int, Sequence[tuple[str, str]]], now: tuple[int, Mapping[str, str]], what: str, *, step: Step
) -> Iterator[ReplayDifference]:
    """Yield what differs between the heads of two answers."""
    status, fields = recorded
    was = {name.lower(): value for name, value in fields}
    if status != now[0]:
        yield ReplayDifference(step, f"{what}, status", str(status), str(now[0]))
    if status != now[0] or not was:  # captures of netboot have no fields of answers
        return
    for name in _COMPARED_FIELDS:
        before, after = (printable_line(each.get(name, "none")) for each in (was, now[1]))
        if before != after:
            yield ReplayDifference(step, f"{what}, {name}", before, after)
    for name in ("content-length", "etag", "last-modified"):  # their values are of the content
        before, after = ("present" if name in each else "missing" for each in (was, now[1]))
        if before != after:
            yield ReplayDifference(step, f"{what}, {name}", before, after)
