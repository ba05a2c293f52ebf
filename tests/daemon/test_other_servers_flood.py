"""A flood of forged offers of other servers: it costs the daemon little, and what it keeps of them is bounded."""

import os
import socket
import struct
import time
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.packets import message, opts
from fixtures.rack import Rack
from netns import inside
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

pytestmark = pytest.mark.integration

FLOOD_S = 4.0
MOST_CPU_S = 0.8  # of `FLOOD_S`; 640 packets a second are read
GROWTH_KIB = 4 * 1024
SERVERS = 64
EVENTS = 11  # ten a minute, and one of the minute in which the flood may end
CP1 = bytes.fromhex("525400aabb01")


def forged_frames() -> list[bytes]:
    """Write offers of a thousand servers with boot files, each to the machine cp1."""
    frames = []
    for number in range(1000):
        address = socket.inet_ntoa(struct.pack("!I", 0xC6336400 + number))
        options = [
            (53, b"\2"),
            (54, socket.inet_aton(address)),
            (60, b"PXEClient"),
            (67, f"evil-{number}.efi".encode()),
        ]
        body = message(options, op=2, xid=number, chaddr=CP1)
        card = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        packet = IP(src=address, dst="255.255.255.255") / UDP(sport=67, dport=68) / Raw(body)
        frames.append(bytes(Ether(src=card, dst="ff:ff:ff:ff:ff:ff") / packet))
    return frames


def cpu_s(rack: Rack) -> float:
    """Read the processor time of the daemon."""
    fields = Path(f"/proc/{rack.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(rack: Rack) -> int:
    status = Path(f"/proc/{rack.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_a_flood_of_forged_offers_costs_little_and_machines_boot_meanwhile(rack: Rack):
    frames = forged_frames()
    rack.wire.send(message(opts(), xid=0x70000001))
    rack.wait_for("dhcp.offered")
    with inside(rack.client_namespace):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with wire:
        wire.bind(("c0", 0))
        before_cpu_s, before_kib, sent, requests = cpu_s(rack), resident_kib(rack), 0, 1
        ends_at, next_boot_at = time.monotonic() + FLOOD_S, 0.0
        while (now := time.monotonic()) < ends_at:
            for frame in frames:
                wire.send(frame)
                sent += 1
            if now >= next_boot_at:
                next_boot_at = now + 1.0
                requests += 1
                rack.wire.send(message(opts(), xid=0x70000000 + requests))
    used_s, grown_kib = cpu_s(rack) - before_cpu_s, resident_kib(rack) - before_kib

    servers = rack.api("/api/v1/status")["other_servers"]
    assert sent > 10_000
    wait_until(lambda: len(rack.lines("dhcp.offered")) >= requests or None)
    assert used_s < MOST_CPU_S
    assert grown_kib < GROWTH_KIB
    assert len(servers) == SERVERS
    assert len(rack.lines("lan.server_seen")) <= EVENTS
    assert len(rack.lines("boot.offered_elsewhere")) == 0  # no offer has the transaction of a boot request
