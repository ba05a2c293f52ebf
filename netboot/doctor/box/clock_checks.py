"""Checks the clock: whether it is synchronised, before dates that it must be behind, and against time servers."""

import ctypes
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import netboot
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.model.release import EntryKind

_CHECK: Final = "box.clock"
_UNSYNCHRONISED: Final = 0x0040  # STA_UNSYNC of <linux/timex.h>
_ERROR: Final = 5  # TIME_ERROR: the state that adjtimex(2) returns
_DAY: Final = timedelta(days=1)
_MOST_SERVERS: Final = 3
_WAIT_S: Final = 1.0
_NTP_PORT: Final = 123
_NTP_REQUEST: Final = b"\x23" + bytes(47)  # RFC 5905 §7.3: version 4, mode client
_NTP_EPOCH: Final = datetime(1900, 1, 1, tzinfo=UTC)
_OFF_S: Final = 5.0
_MOST_OFF_S: Final = 300.0  # what the installer permits a machine to differ from this clock
_CURE: Final = "systemctl enable --now chronyd (or systemd-timesyncd), with a server in its configuration"
_SET: Final = "set the clock: chronyc makestep, or date -u -s 'YYYY-MM-DD hh:mm:ss' && hwclock --systohc; then "
_EFFECT: Final = "tokens, certificates and the deadlines of Ignition files are judged by it"


class _Timex(ctypes.Structure):
    """`struct timex` of <linux/timex.h>, up to `status`, and the rest as bytes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What adjtimex(2) reports."""

    state: int
    status: int

    @property
    def is_synchronised(self) -> bool:
        return self.state != _ERROR and not self.status & _UNSYNCHRONISED


@dataclass(frozen=True, slots=True)
class DatedThing:
    """Something that exists since `at`, so the clock must be behind it."""

    what: str
    at: datetime


def read_kernel_clock() -> KernelClock:
    """Read the state of the kernel's clock; nothing is changed."""
    found = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found))
    return KernelClock(state, found.status)


def check_clock(given: BoxInputs) -> Iterator[DoctorFinding]:
    """Check the clock of this computer, and request the time of the servers that hosts use."""
    yield from judge_clock(read_kernel_clock(), given.now, list(_dated(given)))
    yield from check_time_servers(given.time_servers[:_MOST_SERVERS])


def judge_clock(clock: KernelClock, now: datetime, dated: Sequence[DatedThing]) -> Iterator[DoctorFinding]:
    """Report a clock that is not synchronised, or before the date of something that exists."""
    later = [each for each in dated if now < each.at - _DAY]
    if later:
        newest = max(later, key=lambda each: each.at)
        yield DoctorFinding(
            _CHECK,
            Level.PROBLEM,
            f"the clock is wrong: it has {now:%Y-%m-%d %H:%M} UTC, which is before {newest.what}; {_EFFECT}",
            tuple(f"{each.what}: {each.at:%Y-%m-%d %H:%M} UTC" for each in later),
            _SET + _CURE,
        )
    if not clock.is_synchronised:
        yield DoctorFinding(
            _CHECK,
            Level.WARNING,
            f"the clock is not synchronised with a time server; {_EFFECT}, and machines are compared with it",
            (f"adjtimex: state {clock.state}, status {clock.status:#06x} (STA_UNSYNC)",),
            _CURE,
        )


def check_time_servers(servers: Sequence[IPv4Address], *, port: int = _NTP_PORT) -> Iterator[DoctorFinding]:
    """Compare the clock with these servers, one request each."""
    for server in servers:
        ahead_s = _ahead_of(server, port)
        if ahead_s is None:
            sentence = (
                f"the time server {server} does not answer; nodes and this appliance cannot set their clocks by it"
            )
            cure = "correct ntp of the hosts, or permit UDP 123 to it"
            yield DoctorFinding(_CHECK, Level.WARNING, sentence, (f"no answer within {_WAIT_S:g} s",), cure)
        elif abs(ahead_s) > _OFF_S:
            level = Level.PROBLEM if abs(ahead_s) > _MOST_OFF_S else Level.WARNING
            where = "ahead of" if ahead_s > 0 else "behind"
            sentence = f"the clock is {abs(ahead_s):.0f} s {where} the time server {server}; {_EFFECT}"
            yield DoctorFinding(_CHECK, level, sentence, (f"offset {-ahead_s:+.3f} s",), _SET + _CURE)


def _ahead_of(server: IPv4Address, port: int) -> float | None:
    """Return by how many seconds our clock is ahead of a server's; None: it does not answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened, suppress(OSError, struct.error):
        opened.settimeout(_WAIT_S)
        opened.connect((str(server), port))
        sent = time.time()
        opened.send(_NTP_REQUEST)
        answer = opened.recv(128)
        middle = (sent + time.time()) / 2
        seconds, fraction = map(float, struct.unpack_from("!II", answer, 40))  # the transmit timestamp
        if seconds:
            return middle - (seconds + fraction / 2**32 + _NTP_EPOCH.timestamp())
    return None


def _dated(given: BoxInputs) -> Iterator[DatedThing]:
    """Yield what exists on this computer with its date: netboot itself, and each entry of the content."""
    yield from _date("the installation of netboot", Path(netboot.__file__))
    directory = given.settings.content.directory
    for kind in EntryKind:
        with suppress(OSError):
            for entry in sorted((directory / kind).iterdir()):
                yield from _date(f"the import of {kind} {entry.name}", entry)


def _date(what: str, path: Path) -> Iterator[DatedThing]:
    with suppress(OSError):
        yield DatedThing(what, datetime.fromtimestamp(path.stat().st_mtime, UTC))
