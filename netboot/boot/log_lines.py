"""Takes lines of logs that machines send: finds machine and boot, limits their number, hides secrets, stores them.

A line belongs to the machine that has its source address now, and to the running boot of that machine. A line from any
other address is counted and dropped. Called for each datagram: synchronous, from memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from netboot.boot.install_moves import InstallMoves
from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.boot_records.line_drop import LineDrop
from netboot.boot_records.log_files import Owner
from netboot.boot_records.log_store import OF_NETBOOT, ReceivedLine
from netboot.boot_records.log_writer import LogWriter
from netboot.model import urls
from netboot.model.boot.log_line import LogLine, LogMessage, Severity
from netboot.model.clock import Clock
from netboot.model.hidden import without_secrets
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.token import Tokens, without_tokens
from netboot.model.words import printable

LINES_PER_S: Final = 500  # of one machine; an installer that repeats its kernel's log sends 2,000 at once
LINES_AT_ONCE: Final = 5_000
ALL_LINES_PER_S: Final = 4_000  # of all machines: an eighth of a processor (30 µs a line, measured)
ALL_LINES_AT_ONCE: Final = 20_000
MACHINES: Final = 8192  # whose limit is in memory
_LIMITS: Final = f"a machine may send {LINES_PER_S} per second, and all machines together {ALL_LINES_PER_S}"


class Transport(StrEnum):
    """How a line came."""

    UDP = "udp"
    TCP = "tcp"
    REPORT = "report"  # with a machine's token, by HTTP


@dataclass(slots=True)
class LineAllowance:
    """A token bucket: `at_once` lines, and `per_s` more with each second."""

    per_s: float
    at_once: float
    left: float
    _counted_s: float = 0.0

    def admit(self, now_s: float, *, reserved: float = 0) -> bool:
        """Count a line; return whether it is within the limit, and leaves what is reserved for others."""
        self.left = min(self.at_once, self.left + (now_s - self._counted_s) * self.per_s)
        self._counted_s = now_s
        if self.left < reserved + 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class _Sender:
    """A machine that sends lines. `began_s` is its boot on the monotonic clock, `began_at` the same in UTC."""

    allowance: LineAllowance
    withheld: int = 0  # lines beyond a limit since its last line
    began_s: float = 0.0
    began_at: datetime | None = None


class _Machine(NamedTuple):
    """Whose log a line belongs to, and its network cards; `host`: its name if it is or was declared."""

    owner: Owner
    macs: Sequence[Mac]
    host: HostName | None


Parse = Callable[[bytes], LogMessage | None]  # called for lines within the limits only


@dataclass(frozen=True, slots=True, eq=False)
class LogLines:
    """The lines of all machines."""

    seen: SeenMachines
    writer: LogWriter
    _: KW_ONLY
    identification: Identification
    install_moves: InstallMoves
    clock: Clock
    _senders: dict[Owner, _Sender] = field(default_factory=dict, init=False)
    _all: LineAllowance = field(
        default_factory=lambda: LineAllowance(ALL_LINES_PER_S, ALL_LINES_AT_ONCE, ALL_LINES_AT_ONCE), init=False
    )

    def is_known(self, address: IPv4Address) -> bool:
        """Return whether a machine that boots from us has this address."""
        return self._machine_at(address) is not None

    def is_of_host(self, address: IPv4Address) -> bool:
        """Return whether the machine that has this address is a host."""
        machine = self._machine_at(address)
        return machine is not None and machine.host is not None

    def record(self, address: IPv4Address, lines: Sequence[bytes], parse: Parse, *, transport: Transport) -> None:
        """Store lines that an address sent."""
        machine = self._machine_at(address)
        if machine is None:
            self.writer.count_dropped(LineDrop.UNKNOWN_ADDRESS, len(lines))
            return
        self._record_lines(machine, address, lines, parse=parse, transport=transport)

    def record_report(
        self, reporter: Host | HostName, address: IPv4Address, lines: Sequence[bytes], parse: Parse
    ) -> None:
        """Store lines that were sent with the token of a host, also of one that no file declares any longer."""
        if isinstance(reporter, Host):
            machine = _Machine(reporter.name, reporter.macs, reporter.name)
        else:
            machine = _Machine(reporter, (), reporter)
        self._record_lines(machine, address, lines, parse=parse, transport=Transport.REPORT)

    def _record_lines(
        self, machine: _Machine, address: IPv4Address, lines: Sequence[bytes], *, parse: Parse, transport: Transport
    ) -> None:
        """Store lines within the limits; drop the rest of them together."""
        sender = self._sender(machine.owner)
        reserved = 0 if machine.host else ALL_LINES_AT_ONCE / 2  # for hosts: a machine can have many MACs
        for number, line in enumerate(lines):
            now_s = self.clock.monotonic()
            if not (sender.allowance.admit(now_s) and self._all.admit(now_s, reserved=reserved)):
                dropped = len(lines) - number
                sender.withheld += dropped
                self.writer.count_dropped(LineDrop.RATE, dropped)
                return
            message = parse(line)
            if message is None:
                self.writer.count_dropped(LineDrop.EMPTY)
                continue
            self._store(machine, address, message, sender=sender, now_s=now_s)
            self.writer.counters.count("log_lines", transport=transport.value)

    def _store(
        self, machine: _Machine, address: IPv4Address, message: LogMessage, *, sender: _Sender, now_s: float
    ) -> None:
        at, began_at = self.clock.now(), self._began_at(sender, machine.macs, now_s)
        if sender.withheld:
            text = f"{sender.withheld} lines before this one were not kept: {_LIMITS}"
            note = LogLine(at, address, Severity.WARNING, OF_NETBOOT, text)
            self.writer.take(ReceivedLine(machine.owner, began_at, note))
            sender.withheld = 0
        tokens = self.install_moves.known(machine.host).tokens if machine.host else Tokens()
        program, text = shown(message.program, tokens), shown(message.text, tokens)
        received = LogLine(at, address, message.severity, program, text)
        self.writer.take(ReceivedLine(machine.owner, began_at, received))

    def _machine_at(self, address: IPv4Address) -> _Machine | None:
        mac, host = self.identification.machine_at(address)
        if host is not None:
            return _Machine(host.name, host.macs, host.name)
        return _Machine(mac, (mac,), None) if mac is not None else None

    def _sender(self, owner: Owner) -> _Sender:
        sender = self._senders.get(owner)
        if sender is None:
            while len(self._senders) >= MACHINES:
                del self._senders[next(iter(self._senders))]
            sender = self._senders[owner] = _Sender(LineAllowance(LINES_PER_S, LINES_AT_ONCE, LINES_AT_ONCE))
        return sender

    def _began_at(self, sender: _Sender, macs: Sequence[Mac], now_s: float) -> datetime | None:
        """Return when the running boot of a machine began; None if it requested no boot since the start."""
        cards = [seen for mac in macs if (seen := self.seen.get(mac)) is not None]
        began_s = max((card.boot.trace.began_s for card in cards), default=0.0)
        if began_s and began_s != sender.began_s:
            sender.began_s, sender.began_at = began_s, self.clock.now() - timedelta(seconds=now_s - began_s)
        return sender.began_at


def shown(text: str, tokens: Tokens) -> str:
    """Return a machine's text as it is stored: printable, and without tokens and other secrets."""
    return without_secrets(urls.without_tokens_in_paths(without_tokens(printable(text), tokens)))
