"""Takes lines of logs that machines send: finds machine and boot, limits their number, hides secrets, stores them.

A line belongs to the machine that has its source address now, and to the running boot of that machine. A line from any
other address is counted and dropped. Called for each datagram: synchronous, from memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.install_moves import InstallMoves
from netboot.boot.records.allowance import Allowance
from netboot.boot.records.running_boots import RecordedMachine, RunningBoots, machine_of_host
from netboot.boot.records.shown_text import shown
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.log_store import OF_NETBOOT, ReceivedLine
from netboot.boot_records.record_files import Owner
from netboot.boot_records.record_writer import RecordWriter
from netboot.model.boot.log_line import LogLine, LogMessage, Severity
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName
from netboot.model.install.token import Tokens

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
class _Sender:
    """A machine that sends lines."""

    allowance: Allowance
    withheld: int = 0  # lines beyond a limit since its last line


Parse = Callable[[bytes], LogMessage | None]  # called for lines within the limits only


@dataclass(frozen=True, slots=True, eq=False)
class LogLines:
    """The lines of all machines."""

    boots: RunningBoots
    writer: RecordWriter
    _: KW_ONLY
    install_moves: InstallMoves
    clock: Clock
    _senders: dict[Owner, _Sender] = field(default_factory=dict, init=False)
    _all: Allowance = field(
        default_factory=lambda: Allowance(ALL_LINES_PER_S, ALL_LINES_AT_ONCE, ALL_LINES_AT_ONCE), init=False
    )

    def is_known(self, address: IPv4Address) -> bool:
        """Return whether a machine that boots from us has this address."""
        return self.boots.machine_at(address) is not None

    def is_of_host(self, address: IPv4Address) -> bool:
        """Return whether the machine that has this address is a host."""
        machine = self.boots.machine_at(address)
        return machine is not None and machine.host is not None

    def record(self, address: IPv4Address, lines: Sequence[bytes], parse: Parse, *, transport: Transport) -> None:
        """Store lines that an address sent."""
        machine = self.boots.machine_at(address)
        if machine is None:
            self.writer.count_dropped(RecordDrop.UNKNOWN_ADDRESS, len(lines))
            return
        self._record_lines(machine, address, lines, parse=parse, transport=transport)

    def record_report(
        self, reporter: Host | HostName, address: IPv4Address, lines: Sequence[bytes], parse: Parse
    ) -> None:
        """Store lines that were sent with the token of a host, also of one that no file declares any longer."""
        self._record_lines(machine_of_host(reporter), address, lines, parse=parse, transport=Transport.REPORT)

    def _record_lines(
        self,
        machine: RecordedMachine,
        address: IPv4Address,
        lines: Sequence[bytes],
        *,
        parse: Parse,
        transport: Transport,
    ) -> None:
        """Store lines within the limits; drop the rest of them together."""
        sender = self._sender(machine.owner)
        reserved = 0 if machine.host else ALL_LINES_AT_ONCE / 2  # for hosts: a machine can have many MACs
        secrets = machine.secrets
        for number, line in enumerate(lines):
            now_s = self.clock.monotonic()
            if not (sender.allowance.admit(now_s) and self._all.admit(now_s, reserved=reserved)):
                dropped = len(lines) - number
                sender.withheld += dropped
                self.writer.count_dropped(RecordDrop.RATE, dropped)
                return
            message = parse(line)
            if message is None:
                self.writer.count_dropped(RecordDrop.EMPTY)
                continue
            self._store(machine, address, message, secrets, sender=sender, now_s=now_s)
            self.writer.counters.count("log_lines", transport=transport.value)

    def _store(
        self,
        machine: RecordedMachine,
        address: IPv4Address,
        message: LogMessage,
        secrets: Sequence[str],
        *,
        sender: _Sender,
        now_s: float,
    ) -> None:
        at, began_at = self.clock.now(), self.boots.began_at(machine, now_s)
        if sender.withheld:
            text = f"{sender.withheld} lines before this one were not kept: {_LIMITS}"
            note = LogLine(at, address, Severity.WARNING, OF_NETBOOT, text)
            self.writer.take(ReceivedLine(machine.owner, began_at, note))
            sender.withheld = 0
        tokens = self.install_moves.known(machine.host).tokens if machine.host else Tokens()
        program, text = shown(message.program, tokens), shown(message.text, tokens, secrets)
        received = LogLine(at, address, message.severity, program, text)
        self.writer.take(ReceivedLine(machine.owner, began_at, received))

    def _sender(self, owner: Owner) -> _Sender:
        sender = self._senders.get(owner)
        if sender is None:
            while len(self._senders) >= MACHINES:
                del self._senders[next(iter(self._senders))]
            sender = self._senders[owner] = _Sender(Allowance(LINES_PER_S, LINES_AT_ONCE, LINES_AT_ONCE))
        return sender
