"""Offers per second of the DHCP door beside dnsmasq's proxy, each server alone on one core.

Run as root: `python tests/bench/bench_dhcp.py [SECONDS]`. Two namespaces and a veth pair, removed at the end. The
client sends DISCOVERs of 64 machines with N of them outstanding, on the other core; JSON log and counters are on.
The column of CPU time per offer holds on a busy machine too, where rates say little.
"""

# ruff: noqa: T201
import asyncio
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import structlog

from netboot.boot.decide import decide
from netboot.model.client import BootClient, BootProtocol, Cpu
from netboot.model.cluster import Cluster
from netboot.model.host import Host, HostName, HostSet, Role
from netboot.model.install import Arming, Install
from netboot.model.mac import Mac
from netboot.model.network import WantedInterface
from netboot.model.offer import Ignored, Offer, Policy, UnknownHosts
from netboot.proto.dhcp import DhcpMessage, build
from netboot.servers.dhcp import DhcpServer, DhcpSettings
from netboot.servers.interfaces import Interfaces
from netboot.servers.metrics import Metrics

MACHINES = 64
OUTSTANDING = (1, 16, 64, 1000)
SERVER, CLIENT = f"nbbs{os.getpid()}", f"nbbc{os.getpid()}"
SO_RCVBUFFORCE = 33
LOST_AFTER_S = 0.5


class Desk:
    """The real decision on machines that are all armed."""

    def __init__(self) -> None:
        macs = [Mac.from_bytes(bytes.fromhex("5254000000") + bytes((number,))) for number in range(MACHINES)]
        self.hosts = HostSet.of(Cluster("bench"), [Host(HostName(f"w{mac[-2:]}"), Role.WORKER, (mac,)) for mac in macs])
        self.policy = Policy(UnknownHosts.IGNORE, {(BootProtocol.PXE, Cpu.X64): "snponly.efi"})
        self.arming = Arming(at=datetime.now(UTC), reason="bench", attempts=3)

    def offer_for(self, client: BootClient) -> Offer | Ignored:
        host = self.hosts.by_mac(client.mac)
        return decide(client, host, Install(host.name, arming=self.arming) if host else None, self.policy)

    def offered(self, client: BootClient, offer: Offer) -> None:
        pass

    def saw_address(self, mac: Mac, address: IPv4Address) -> None:
        pass


async def serve() -> None:
    """Serve until killed, with the log as the daemon writes it."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(Path(os.devnull).open("w")),  # noqa: ASYNC230, SIM115
        cache_logger_on_first_use=True,
    )
    async with Interfaces([WantedInterface("s0")]) as interfaces:
        server = DhcpServer(Desk(), DhcpSettings(), counters=Metrics())
        interfaces.on_change(server.serve)
        print("ready", flush=True)
        await interfaces.follow()


def questions() -> list[bytes]:
    """One DISCOVER of EDK2 per machine; the xid is written in place."""
    return [
        build(
            DhcpMessage(
                op=1,
                xid=0,
                flags=0x8000,
                chaddr=bytes.fromhex("5254000000") + bytes((number,)) + bytes(10),
                options={
                    53: b"\x01",
                    57: b"\x05\xc0",
                    55: bytes(range(1, 36)),
                    97: b"\0" + bytes(range(16)),
                    94: b"\1\3\1",
                    93: b"\0\7",
                    60: b"PXEClient:Arch:00007:UNDI:003001",
                },
            )
        )
        for number in range(MACHINES)
    ]


@dataclass(frozen=True)
class Load:
    """What one run with so many questions outstanding measured."""

    offers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    lost: int


def load(outstanding: int, seconds: float) -> Load:
    """Ask for so many seconds; raise IndexError where nothing at all came back."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"c0\0")
    client.bind(("0.0.0.0", 68))
    client.setblocking(False)
    asked = questions()
    sent: dict[int, float] = {}
    took: list[float] = []
    lost = xid = 0
    started = time.perf_counter()
    end = started + seconds
    while (now := time.perf_counter()) < end:
        for _ in range(min(outstanding - len(sent), 64)):
            xid += 1
            data = asked[xid % MACHINES]
            client.sendto(data[:4] + struct.pack("!I", xid) + data[8:], ("255.255.255.255", 67))
            sent[xid] = now
        if not select.select([client], [], [], LOST_AFTER_S)[0]:
            lost += len(sent)
            sent.clear()
            continue
        for _ in range(64):
            try:
                reply = client.recv(1500)
            except BlockingIOError:
                break
            began = sent.pop(int.from_bytes(reply[4:8], "big"), None)
            if began is not None:
                took.append(time.perf_counter() - began)
    client.close()
    took.sort()
    return Load(
        offers=len(took),
        seconds=time.perf_counter() - started,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[len(took) * 99 // 100] * 1000,
        lost=lost,
    )


@contextmanager
def namespaces() -> Iterator[None]:
    with ExitStack() as remove:
        for name in (SERVER, CLIENT):
            subprocess.run(["ip", "netns", "add", name], check=True)
            remove.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        ip(SERVER, "link", "add", "s0", "type", "veth", "peer", "name", "c0", "netns", CLIENT)
        for namespace, interface, address in ((SERVER, "s0", "192.0.2.10/24"), (CLIENT, "c0", "192.0.2.50/24")):
            ip(namespace, "addr", "add", address, "dev", interface)
            ip(namespace, "link", "set", interface, "up")
        yield


def ip(namespace: str, *arguments: str) -> None:
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)


NETBOOT = [sys.executable, __file__, "serve"]
DNSMASQ = [
    *("dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=s0", "--bind-interfaces"),
    *("--dhcp-range=192.0.2.0,proxy", "--pxe-service=x86-64_EFI,boot,snponly.efi", "--pxe-service=7,boot,snponly.efi"),
    *("--user=root", "--log-facility=/dev/null", "--dhcp-leasefile=/dev/null", "--pid-file="),
]


def cpu_ns(pid: int) -> int:
    """Read how long a process has been on a CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def measure(name: str, command: list[str], seconds: float) -> None:
    server = subprocess.Popen(["ip", "netns", "exec", SERVER, "taskset", "-c", "0", *command], stdout=subprocess.PIPE)
    try:
        if name == "netboot":
            assert server.stdout is not None
            server.stdout.readline()
        else:
            time.sleep(1)
        for outstanding in OUTSTANDING:
            before_ns = cpu_ns(server.pid)
            ran = subprocess.run(
                [
                    *("ip", "netns", "exec", CLIENT, "taskset", "-c", "1"),
                    *(sys.executable, __file__, "load", str(outstanding), str(seconds)),
                ],
                check=True,
                capture_output=True,
            )
            result = Load(**json.loads(ran.stdout))
            cpu_us = (cpu_ns(server.pid) - before_ns) / result.offers / 1000
            print(
                f"{name:8} {outstanding:>5} {result.offers / result.seconds:>9.0f}/s  p50 {result.p50_ms:7.2f} ms  "
                f"p99 {result.p99_ms:7.2f} ms  lost {result.lost:>4}  {cpu_us:6.1f} us of CPU per offer"
            )
    finally:
        server.terminate()
        server.wait(10)


def main() -> None:
    match sys.argv[1:]:
        case ["serve"]:
            asyncio.run(serve())
        case ["load", outstanding, seconds]:
            print(json.dumps(asdict(load(int(outstanding), float(seconds)))))
        case rest:
            seconds = float(rest[0]) if rest else 3.0
            with namespaces():
                measure("dnsmasq", DNSMASQ, seconds)
                measure("netboot", NETBOOT, seconds)


if __name__ == "__main__":
    main()
