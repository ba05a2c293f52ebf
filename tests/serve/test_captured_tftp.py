"""Which packets of a transfer are recorded: driven by the transfer itself, with losses and windows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from netboot.model.captured_packet import CapturedPacket
from netboot.serve.tftp.captured_tftp import REPEATED, CapturedTftp, CapturedTransfer
from netboot.wire.tftp import packet as tftp
from netboot.wire.tftp.packet import ErrorCode, Terms
from netboot.wire.tftp.transfer import Sender

MACHINE, OURS = ("192.0.2.50", 2070), ("192.0.2.10", 69)
NOW = datetime(2026, 11, 29, tzinfo=UTC)


class _Clock:
    def now(self) -> datetime:
        return NOW


@dataclass
class Taken:
    """What was recorded, in place of the captures."""

    packets: list[CapturedPacket] = field(default_factory=list)
    clock: Any = field(default_factory=_Clock)

    def record_at(self, address: str, packet: CapturedPacket) -> None:
        assert address == MACHINE[0]
        self.packets.append(packet)

    @property
    def shown(self) -> list[str]:
        return [f"{each.data[1]}:{int.from_bytes(each.data[2:4], 'big')}" for each in self.packets]


class Transferred:
    """A transfer of so many blocks of 512 bytes, and the machine that acknowledges them."""

    def __init__(self, blocks: int, *, windowsize: int = 1) -> None:
        self.taken = Taken()
        size = blocks * 512 - 1
        self.sender = Sender(Terms(512, windowsize, None, {}), size)
        self.sender.supply(0, bytes(size))
        captured: Any = CapturedTftp(self.taken, "s0")  # type: ignore[arg-type]
        self.captured = CapturedTransfer(captured, MACHINE, OURS)
        self.now = 0.0
        self.send()

    def send(self) -> None:
        self.captured.sent(self.sender.datagrams_to_send(self.now), self.sender)

    def receive(self, data: bytes) -> None:
        self.sender.receive_datagram(data, self.now)
        self.captured.received(data, self.sender)
        self.send()

    def acknowledge(self, *blocks: int) -> None:
        for block in blocks:
            self.receive(b"\0\4" + block.to_bytes(2, "big"))

    def lose(self) -> None:
        self.now += 60
        self.sender.handle_deadline(self.now)
        self.send()


def test_the_first_and_the_last_blocks_are_recorded():
    transfer = Transferred(1000)
    transfer.acknowledge(*range(1, 1001))

    assert transfer.taken.shown == ["3:1", "4:1", "3:2", "4:2", "3:1000", "4:1000"]
    assert {each.kept_bytes for each in transfer.taken.packets if each.is_sent} == {4}
    assert {(each.source, each.destination) for each in transfer.taken.packets} == {(MACHINE, OURS), (OURS, MACHINE)}


def test_what_is_sent_repeatedly_is_recorded():
    transfer = Transferred(1000)
    transfer.acknowledge(*range(1, 500))
    transfer.lose()
    transfer.acknowledge(499, *range(500, 1001))

    assert transfer.taken.shown == ["3:1", "4:1", "3:2", "4:2", "3:500", "4:499", "3:1000", "4:1000"]


def test_what_is_sent_repeatedly_is_recorded_up_to_a_limit():
    transfer = Transferred(1000)
    transfer.acknowledge(*range(1, 500), *[499] * (REPEATED + 50))

    assert transfer.taken.shown.count("4:499") == REPEATED


def test_of_a_window_the_first_and_the_last_block_are_recorded():
    transfer = Transferred(64, windowsize=16)
    transfer.acknowledge(16, 32, 48, 64)

    assert transfer.taken.shown == ["3:1", "3:16", "3:49", "3:64", "4:64"]


def test_an_error_of_the_machine_is_recorded():
    transfer = Transferred(1000)
    transfer.acknowledge(*range(1, 10))
    transfer.receive(tftp.error(ErrorCode.DISK_FULL, "full"))

    assert transfer.taken.shown[-1] == "5:3"


def test_tokens_in_the_name_of_a_file_are_not_recorded():
    taken = Taken()
    captured = CapturedTftp(taken, "s0")  # type: ignore[arg-type]

    captured.record_received(b"\0\1ks/" + b"0123456789abcdef" * 2 + b"\0octet\0", MACHINE, OURS)

    assert taken.packets[0].data == b"\0\1ks/" + b"x" * 32 + b"\0octet\0"
