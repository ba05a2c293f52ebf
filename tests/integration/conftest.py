"""A LAN of network namespaces: the server's, a client's, two wires between them. Made and removed by each test."""

import asyncio
import os
import queue
import re
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from netns import inside
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from netboot.boot.decide import decide
from netboot.model.boot.boot_client import BootClient, BootProtocol, Cpu
from netboot.model.boot.offer import Ignored, Offer, Policy, UnknownHosts
from netboot.model.host.cluster import Cluster
from netboot.model.host.host import Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.model.host.network import WantedInterface
from netboot.model.install.install import Arming, Install
from netboot.serve.dhcp.dhcp_server import DhcpServer, DhcpSettings
from netboot.serve.net.interfaces import Interfaces

CAPTURES = Path(__file__).parents[1] / "wire" / "captures"
TIMEOUT_S = 5.0
MAC = Mac("52:54:00:aa:bb:01")
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33


@pytest.fixture(scope="session")
def capture() -> Callable[[str], bytes]:
    """Hand out the captures of `tests/proto` by name."""

    def read(name: str) -> bytes:
        line = (CAPTURES / f"{name}.hex").read_text().splitlines()[-1]
        return bytes.fromhex(re.sub(r"\[00\*(\d+)\]", lambda zeros: "00" * int(zeros[1]), line))

    return read


class Wire:
    """One end of a wire, below every socket: frames out and in, written and read by scapy."""

    def __init__(self, namespace: str, interface: str) -> None:
        with inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self._socket.bind((interface, 0))

    def send(
        self, payload: bytes, *, source: tuple[str, int] = ("0.0.0.0", 68), to: tuple[str, int], ether: str
    ) -> None:
        """Send one UDP datagram from the client's MAC, in fragments where it is long."""
        packet = IP(src=source[0], dst=to[0]) / UDP(sport=source[1], dport=to[1]) / Raw(payload)
        for piece in fragment(packet, 1480):
            self._socket.send(bytes(Ether(src=MAC, dst=ether) / piece))

    def broadcast(self, payload: bytes) -> None:
        """Send as a ROM without an address does."""
        self.send(payload, to=("255.255.255.255", 67), ether="ff:ff:ff:ff:ff:ff")

    def receive(self, *, timeout_s: float = TIMEOUT_S) -> Packet | None:
        """Wait for the next datagram that a DHCP server sent; None where none comes."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data, address = self._socket.recvfrom(65535)
            except TimeoutError:
                return None
            frame = Ether(data)
            if address[2] != socket.PACKET_OUTGOING and UDP in frame and frame[UDP].sport in (67, 4011):
                return frame
        return None

    def close(self) -> None:
        self._socket.close()


@dataclass
class Lan:
    """The two namespaces: `s0` 192.0.2.10 to `c0` 192.0.2.50, and `s1` 198.51.100.10 to `c1` 198.51.100.1."""

    server: str
    client: str
    wires: list[Wire] = field(default_factory=list)

    def wire(self, interface: str) -> Wire:
        wire = Wire(self.client, interface)
        self.wires.append(wire)
        return wire

    def ip(self, namespace: str, *arguments: str) -> None:
        subprocess.run(["ip", "-n", namespace, *arguments], check=True, capture_output=True, timeout=10)

    def server_mac(self, interface: str) -> str:
        with inside(self.server):
            return socket_mac(interface)

    def client_socket(self, port: int, *, loopback: bool = False) -> socket.socket:
        """Open a UDP socket of the client; with `loopback`, one on the server's own `lo`."""
        with inside(self.server if loopback else self.client):
            bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if loopback:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
        bound.bind(("0.0.0.0", port))
        bound.settimeout(TIMEOUT_S)
        return bound


def socket_mac(interface: str) -> str:
    """Read an interface's MAC in this thread's namespace."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as probe:
        probe.bind((interface, 0))
        return str(probe.getsockname()[4].hex(":"))


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan() as lan:
        yield lan


@contextmanager
def a_lan() -> Iterator[Lan]:
    """Make a LAN, and remove it; a file of tests may keep one for all of them."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    name = os.urandom(4).hex()
    lan = Lan(f"nbts{name}", f"nbtc{name}")
    with ExitStack() as remove:
        for name in (lan.server, lan.client):
            subprocess.run(["ip", "netns", "add", name], check=True, timeout=10)
            remove.callback(subprocess.run, ["ip", "netns", "del", name], check=False, timeout=10)
            lan.ip(name, "link", "set", "lo", "up")
        for number, (ours, theirs) in enumerate(
            [("192.0.2.10/24", "192.0.2.50/24"), ("198.51.100.10/24", "198.51.100.1/24")]
        ):
            lan.ip(
                lan.server,
                "link",
                "add",
                f"s{number}",
                "type",
                "veth",
                "peer",
                "name",
                f"c{number}",
                "netns",
                lan.client,
            )
            for namespace, name, address in ((lan.server, f"s{number}", ours), (lan.client, f"c{number}", theirs)):
                lan.ip(namespace, "addr", "add", address, "dev", name)
                lan.ip(namespace, "link", "set", name, "up")
        yield lan
        for wire in lan.wires:
            wire.close()


class CountedThings(Counter[tuple[str, ...]]):
    """What was counted, by name and labels."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self[(name, *labels.values())] += int(amount)


class PlainFiles:
    """The real decision on one armed host, `cp1`; keeps what the wire showed. A client of MAC `faulty` breaks it."""

    def __init__(self) -> None:
        self.hosts = HostSet.of(Cluster("test"), [Host(HostName("cp1"), Role.CONTROL_PLANE, (MAC,))])
        self.is_armed = True
        self.faulty: Mac | None = None
        self.requests: queue.Queue[BootClient] = queue.Queue()
        self.shown: queue.Queue[tuple[Mac, IPv4Address, int]] = queue.Queue()
        self.offers: queue.Queue[Offer] = queue.Queue()
        self.refusals: queue.Queue[tuple[Mac, str, str]] = queue.Queue()
        self._policy = Policy(
            UnknownHosts.IGNORE,
            {
                (BootProtocol.PXE, Cpu.X86_BIOS): "undionly.kpxe",
                (BootProtocol.PXE, Cpu.X64): "snponly.efi",
                (BootProtocol.HTTP, Cpu.ARM64): "ipxe-arm64.efi",
            },
        )

    def offer_for(self, client: BootClient) -> Offer | Ignored:
        self.requests.put(client)
        if client.mac == self.faulty:
            raise RuntimeError("a bug of ours")
        host = self.hosts.by_mac(client.mac)
        arming = Arming(at=None, reason="test", attempts=1) if self.is_armed else None  # type: ignore[arg-type]
        return decide(client, host, Install(host.name, arming=arming) if host else None, self._policy)

    def offered(self, client: BootClient, offer: Offer) -> None:
        assert client.mac == offer.mac
        self.offers.put(offer)

    def refused(self, mac: Mac, reason: str, *, cure: str) -> None:
        self.refusals.put((mac, reason, cure))

    def saw_address(self, mac: Mac, address: IPv4Address, *, exchange: int) -> None:
        self.shown.put((mac, address, exchange))


@dataclass
class Serving:
    """A running DHCP server in the server's namespace."""

    service: PlainFiles
    counted: CountedThings
    changes: queue.Queue[tuple[str, ...]]  # the interfaces that it serves, after each change
    stop: Callable[[], None] = lambda: None  # and wait for its end
    server: DhcpServer | None = None

    @property
    def problems(self) -> list[str]:
        """Why some port is not served."""
        assert self.server is not None
        return self.server.problems

    def wait_for_interfaces(self, *expected: str) -> None:
        """Wait until exactly these are served, written as `name=address`."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.changes.get(timeout=max(0.01, deadline - time.monotonic())) != expected:
            pass


Serve = Callable[..., Serving]


@pytest.fixture
def serve(lan: Lan) -> Iterator[Serve]:
    """Start DHCP servers on `s0`, or on what is named, each in a thread of its own within the namespace."""
    with ExitStack() as stop:

        def start(*wanted: WantedInterface | str, settings: DhcpSettings | None = None) -> Serving:
            interfaces = [WantedInterface(each) if isinstance(each, str) else each for each in wanted or ("s0",)]
            return stop.enter_context(_serving(lan, interfaces, settings or DhcpSettings()))

        yield start


@contextmanager
def _serving(lan: Lan, wanted: Sequence[WantedInterface], settings: DhcpSettings) -> Iterator[Serving]:
    serving = Serving(PlainFiles(), CountedThings(), queue.Queue())
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        async with Interfaces(wanted) as interfaces:
            server = DhcpServer(serving.service, settings, counters=serving.counted)
            serving.server = server
            interfaces.on_change(server.serve)
            interfaces.on_change(
                lambda current: serving.changes.put(tuple(f"{each.name}={each.address}" for each in current))
            )
            follower = asyncio.create_task(interfaces.follow())
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()
            follower.cancel()
            server.close()

    def run() -> None:
        try:
            with inside(lan.server):
                asyncio.run(main())
        except Exception as error:
            started.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        loop, stop = started.result(timeout=TIMEOUT_S)
    except BaseException:
        thread.join(TIMEOUT_S)
        raise

    def end() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join(TIMEOUT_S)

    serving.stop = end
    try:
        yield serving
    finally:
        end()
