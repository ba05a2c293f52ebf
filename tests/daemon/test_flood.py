"""A flood of rubbish on every port: machines still boot, memory stays flat, and the log stays quiet."""

import random
import socket
import time
from pathlib import Path

import pytest
from fixtures.packets import ADDRESS, SERVER, Reply, message, opts, reply_in, vector
from fixtures.rack import Rack
from fixtures.wire import Wire
from scapy.layers.inet import UDP

pytestmark = pytest.mark.integration

DATAGRAMS = 100_000
PER_BURST = 100
AT_MOST_S = 60.0
GROWTH_KIB = 8 * 1024  # machines, half-open reads and answered requests, each bounded
SEEDS = [
    *(vector(name) for name in ("discover-bios", "discover-edk2-x64", "discover-ipxe-x64", "discover-relayed")),
    vector("request-edk2-4011"),
    b"\0\1undionly.kpxe\0octet\0blksize\x001468\0tsize\x000\0windowsize\x004\0",
    b"\0\4\0\1",
]


def rubbish(chance: random.Random) -> bytes:
    """Random bytes, or a good datagram with bytes changed, cut, doubled or swapped."""
    if chance.random() < 0.2:
        return chance.randbytes(chance.randrange(700))
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(1, 10)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = chance.randbytes(1)
            case 1:
                del data[at : at + chance.randrange(20)]
            case 2:
                data[at:at] = data[at : at + chance.randrange(40)]
            case _:
                data[at:at] = chance.randbytes(chance.randrange(8))
    return bytes(data)


def flood(rack: Rack, datagrams: int, *, seed: int) -> None:
    """Send in bursts that a daemon on a busy box can process, with a pause after each."""
    chance = random.Random(seed)
    deadline = time.monotonic() + AT_MOST_S
    with rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for number in range(datagrams):
            port = chance.choice((67, 67, 4011, 69))
            sender.sendto(rubbish(chance), ("192.0.2.255" if port == 67 else SERVER, port))
            if number % PER_BURST == 0:
                assert time.monotonic() < deadline
                time.sleep(0.002)


def resident_kib(rack: Rack) -> int:
    """Read how much memory the daemon has."""
    status = Path(f"/proc/{rack.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def answered(wire: Wire, datagram: bytes, **way: tuple[str, int]) -> Reply:
    """Send requests as firmware does, again where a full buffer lost one; skip replies to the flood."""
    for _ in range(4):
        wire.send(datagram, **way)
        frame = wire.receive(lambda frame: bytes(frame[UDP].payload)[4:8] == datagram[4:8], timeout_s=4.0)
        if frame is not None:
            return reply_in(frame)
    raise AssertionError("no answer came")


def test_a_flood_of_rubbish_changes_nothing_for_the_machines_that_boot(open_rack: Rack, wire: Wire):
    flood(open_rack, 10_000, seed=1)  # all memory that grows once has grown now
    before_kib, before_lines = resident_kib(open_rack), open_rack.log.count("\n")
    offered_before = open_rack.log.count('"dhcp.offered"')

    flood(open_rack, DATAGRAMS, seed=2)
    offer = answered(wire, message(opts(), xid=0xC0FFEE))
    ack = answered(wire, message(opts(kind=3), xid=0xC0FFE0), source=(ADDRESS, 68), to=(SERVER, 4011))
    with open_rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM) as reader:
        reader.settimeout(5)
        reader.sendto(b"\0\1even\0octet\0", (SERVER, 69))
        data = reader.recv(1024)

    assert (offer.name, ack.name, data[:4]) == (b"snponly.efi", b"snponly.efi", b"\0\3\0\1")
    assert resident_kib(open_rack) - before_kib < GROWTH_KIB
    offered = open_rack.log.count('"dhcp.offered"') - offered_before
    other_lines = open_rack.log.count("\n") - before_lines - offered
    assert other_lines < DATAGRAMS / 100, "a line per bad datagram"
