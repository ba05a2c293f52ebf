"""A LAN of network namespaces: the server's, a client's, two wires between them. Made and removed by each test."""

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest
from fixtures.lan import Lan, a_lan
from fixtures.listeners import dhcp_settings
from fixtures.wire import TIMEOUT_S
from netns import inside

from netboot.boot.decide import Decision, KnownFirmware, decide
from netboot.model.boot.boot_client import BootClient, BootProtocol, Cpu
from netboot.model.boot.offer import Ignored, Offer, Policy, UnknownHosts
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.model.host.network import InterfaceSetting
from netboot.model.install.install import Arming, Install
from netboot.serve.dhcp.dhcp_server import DhcpServer, DhcpSettings
from netboot.serve.net.interfaces import Interfaces

MAC = Mac("52:54:00:aa:bb:01")


@pytest.fixture
def lan() -> Iterator[Lan]:
    with two_wires() as lan:
        yield lan


def two_wires() -> AbstractContextManager[Lan]:
    """Make a LAN of `s0` 192.0.2.10 to `c0` 192.0.2.50, and `s1` 198.51.100.10 to `c1` 198.51.100.1."""
    return a_lan(("192.0.2.10/24", "192.0.2.50/24"), ("198.51.100.10/24", "198.51.100.1/24"))


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

    def decide_offer(self, client: BootClient) -> Decision | Ignored:
        self.requests.put(client)
        if client.mac == self.faulty:
            raise RuntimeError("a bug of ours")
        host = self.hosts.by_mac(client.mac)
        arming = Arming(at=None, reason="test", attempts=1) if self.is_armed else None  # type: ignore[arg-type]
        install = Install(host.name, arming=arming) if host else None
        return decide(client, host, install, self._policy, firmware=KnownFirmware())

    def record_offer(self, decision: Decision) -> None:
        assert decision.client.mac == decision.offer.mac
        self.offers.put(decision.offer)

    def record_pxe_request(self, decision: Decision) -> None:
        """Recorded as an offer."""

    def record_refusal(self, mac: Mac, reason: str, *, cure: str) -> None:
        self.refusals.put((mac, reason, cure))

    def record_address(self, mac: Mac, address: IPv4Address, *, exchange: int) -> None:
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

        def start(*wanted: InterfaceSetting | str, settings: DhcpSettings | None = None) -> Serving:
            interfaces = [InterfaceSetting(each) if isinstance(each, str) else each for each in wanted or ("s0",)]
            return stop.enter_context(_serving(lan, interfaces, settings or dhcp_settings()))

        yield start


@contextmanager
def _serving(lan: Lan, wanted: Sequence[InterfaceSetting], settings: DhcpSettings) -> Iterator[Serving]:
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
