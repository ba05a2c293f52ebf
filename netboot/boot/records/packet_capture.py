"""Takes the packets and HTTP requests of each boot: finds machine and boot, limits their number, hides secrets.

A datagram is kept as it is, without the contents of files; of an HTTP request only the line and the fields that change
its answer, without tokens, and never a body. Called for each packet: synchronous, from memory. A packet beyond a limit
costs a comparison.
"""

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from netboot.boot.install_moves import InstallMoves
from netboot.boot.records.allowance import Allowance
from netboot.boot.records.running_boots import RecordedMachine, RunningBoots
from netboot.boot.records.shown_text import shown
from netboot.boot_records.capture_store import ReceivedPacket
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.boot_records.record_files import Owner
from netboot.boot_records.record_writer import RecordWriter
from netboot.model.captured_packet import CapturedPacket, CapturedRequest, Protocol
from netboot.model.clock import Clock
from netboot.model.host.mac import Mac
from netboot.model.host.network import Interface, ipv4_of
from netboot.model.install.token import Tokens

PACKETS_PER_S: Final = 100  # of one machine
PACKETS_AT_ONCE: Final = 500
ALL_PACKETS_PER_S: Final = 500  # of all machines
ALL_PACKETS_AT_ONCE: Final = 1_000
MACHINES: Final = 8192  # whose limit is in memory
LONGEST_TARGET: Final = 1_000  # characters, as the machine wrote it
LONGEST_FIELD: Final = 300
LONGEST_METHOD: Final = 40
DECODED: Final = 3  # times that percent signs of a target are decoded
SAFE_IN_TARGET: Final = "/?&=:+,;@!$'()*~"
FIELDS: Final = (  # of a request, by their names in lower case: no other is recorded
    *("host", "user-agent", "range", "if-range", "if-match", "if-none-match"),
    *("connection", "content-length", "transfer-encoding", "expect"),
)


@dataclass(slots=True)
class _PacketSender:
    """A machine whose packets are taken; `lost` are those beyond its limit since the last one that was taken."""

    allowance: Allowance
    lost: int = 0


class _Admitted(NamedTuple):
    """A machine of which one more packet is taken."""

    machine: RecordedMachine
    began_at: datetime | None
    sender: _PacketSender


@dataclass(frozen=True, slots=True, eq=False)
class PacketCapture:
    """The packets of all machines."""

    boots: RunningBoots
    writer: RecordWriter
    _: KW_ONLY
    install_moves: InstallMoves
    clock: Clock
    _interfaces: dict[str, str] = field(default_factory=dict, init=False)  # the name of each, by its addresses
    _senders: dict[Owner, _PacketSender] = field(default_factory=dict, init=False)
    _all: Allowance = field(
        default_factory=lambda: Allowance(ALL_PACKETS_PER_S, ALL_PACKETS_AT_ONCE, ALL_PACKETS_AT_ONCE), init=False
    )

    def note_interfaces(self, interfaces: Iterable[Interface]) -> None:
        """Note which interface has which of our addresses: an HTTP request shows only the address."""
        self._interfaces.clear()
        for interface in interfaces:
            self._interfaces.update(dict.fromkeys(map(str, interface.addresses), interface.name))

    def record_of_cards(self, packets: Iterable[tuple[Mac, CapturedPacket]], number: int) -> None:
        """Record packets of network cards, `number` at most; they are made one by one, up to the common limit."""
        now_s = self.clock.monotonic()
        if not self._all.has_some(now_s):
            self.writer.count_dropped_packets(RecordDrop.RATE, number)
            return
        for taken, (mac, packet) in enumerate(packets, 1):
            if (admitted := self._admit(self.boots.machine_of(mac), now_s)) is not None:
                self._give(admitted, packet)
            if not self._all.has_some(now_s):
                self.writer.count_dropped_packets(RecordDrop.RATE, number - taken)
                return

    def record_at(self, address: str, packet: CapturedPacket) -> None:
        """Record a packet of the machine that has an address now."""
        if (admitted := self._admit_at(address)) is not None:
            self._give(admitted, packet)

    def record_request(self, request: CapturedRequest) -> None:
        """Record the head of an HTTP request."""
        if (admitted := self._admit_at(request.machine[0])) is None:
            return
        machine = admitted.machine
        line, tokens, secrets = self._line(request, machine), self._tokens_of(machine), machine.secrets
        fields = {name: request.fields[name][:LONGEST_FIELD] for name in FIELDS if name in request.fields}
        head = [f"{name}: {shown(text, tokens, secrets)}" for name, text in fields.items()]
        lines = [f"{line} HTTP/1.1", *head, "", ""]
        data = "\r\n".join(lines).encode("ascii", "replace")
        self._give(admitted, self._http(request, data, line, is_sent=False))

    def record_answer(self, request: CapturedRequest, status: int, *, bytes_sent: int | None = None) -> None:
        """Record that a request was answered; `bytes_sent` are those of the body, None: it is not known."""
        if (admitted := self._admit_at(request.machine[0])) is None:
            return
        size = "" if bytes_sent is None else f", {bytes_sent} bytes"
        comment = f"{status}{size}: {self._line(request, admitted.machine)}"
        self._give(admitted, self._http(request, b"", comment, is_sent=True))

    def _admit_at(self, address: str) -> _Admitted | None:
        """Count one packet of the machine that has an address now, if it is within the limits."""
        now_s = self.clock.monotonic()
        if not self._all.has_some(now_s):
            self.writer.count_dropped_packets(RecordDrop.RATE)
            return None
        found = ipv4_of(address)
        machine = self.boots.machine_at(found) if found is not None else None
        if machine is None:
            self.writer.count_dropped_packets(RecordDrop.UNKNOWN_ADDRESS)
            return None
        return self._admit(machine, now_s)

    def _http(self, request: CapturedRequest, data: bytes, comment: str, *, is_sent: bool) -> CapturedPacket:
        ends = (request.server, request.machine) if is_sent else (request.machine, request.server)
        interface = self._interfaces.get(request.server[0], request.server[0])
        return CapturedPacket(
            Protocol.HTTP, self.clock.now(), interface, *ends, data=data, is_sent=is_sent, comment=comment
        )

    def _line(self, request: CapturedRequest, machine: RecordedMachine) -> str:
        """Return method and target without tokens, which percent signs may hide."""
        target = request.target[:LONGEST_TARGET]
        for _ in range(DECODED):
            target = unquote(target)
        tokens, secrets = self._tokens_of(machine), machine.secrets
        target, method = shown(target, tokens, secrets), shown(request.method[:LONGEST_METHOD], tokens, secrets)
        return f"{method} {quote(target, safe=SAFE_IN_TARGET, errors='replace')}"

    def _tokens_of(self, machine: RecordedMachine) -> Tokens:
        return self.install_moves.known(machine.host).tokens if machine.host else Tokens()

    def _admit(self, machine: RecordedMachine, now_s: float) -> _Admitted | None:
        """Count one packet of a machine, if its limit and that of all of them permit it: before it is made."""
        began_at = self.boots.began_at(machine, now_s)
        if began_at is None and machine.host is None:
            self.writer.count_dropped_packets(RecordDrop.NO_BOOT)
            return None
        sender = self._sender(machine.owner)
        reserved = 0 if machine.host else ALL_PACKETS_AT_ONCE / 2  # for hosts: a machine can have many MACs
        if not (sender.allowance.admit(now_s) and self._all.admit(now_s, reserved=reserved)):
            sender.lost += 1
            self.writer.count_dropped_packets(RecordDrop.RATE)
            return None
        return _Admitted(machine, began_at, sender)

    def _give(self, admitted: _Admitted, packet: CapturedPacket) -> None:
        """Give a packet to the writer."""
        machine, began_at, sender = admitted
        card = machine.mac or machine.macs[0]
        if self.writer.take_packet(ReceivedPacket(machine.owner, began_at, card, packet, sender.lost)):
            sender.lost = 0
            self.writer.counters.count("captured_packets", protocol=packet.protocol.value)
        else:
            sender.lost += 1

    def _sender(self, owner: Owner) -> _PacketSender:
        sender = self._senders.get(owner)
        if sender is None:
            while len(self._senders) >= MACHINES:
                del self._senders[next(iter(self._senders))]
            sender = self._senders[owner] = _PacketSender(Allowance(PACKETS_PER_S, PACKETS_AT_ONCE, PACKETS_AT_ONCE))
        return sender
