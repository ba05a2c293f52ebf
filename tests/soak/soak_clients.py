"""The clients of the soak beside those of `reliability.loaded_rack`: machines that boot, programs that read.

Each request is measured by its kind, a failed one too. The appliance is never stopped: a request without a whole answer
ends the step by an exception, which `keep_working` records as a fault, and so does an answer of 400 or more.
"""

import random
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fixtures.packets import SERVER
from netns import inside
from reliability.acknowledged import Acknowledged
from reliability.clients import FIRMWARE, Leases
from reliability.requests import MachineRequests, Operator

SEED: Final = 18
HOSTS: Final = 60
LOADER: Final = "snponly.efi"
OFFER: Final = 2
PATHS: Final = (
    "/api/v1/hosts",
    "/api/v1/status",
    "/api/v1/boots",
    "/api/v1/machines",
    "/api/v1/content",
    "/",
    "/metrics",
)


@dataclass
class Latencies:
    """How long each request took, by its kind; bounded: of many, the newest are kept."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def of(self, kind: str) -> Iterator[None]:
        began_s = time.perf_counter()
        try:
            yield
        finally:
            took_s = time.perf_counter() - began_s
            with self.lock:
                self.counts[kind] += 1
                kept = self.seconds[kind]
                if len(kept) >= 50_000:
                    del kept[:25_000]
                kept.append(took_s)

    def rows(self) -> list[tuple[str, int, float, float]]:
        """Return kind, number, p50 and p99 in milliseconds."""
        return [
            (kind, self.counts[kind], _quantile(took, 0.5) * 1000, _quantile(took, 0.99) * 1000)
            for kind, took in sorted(self.seconds.items())
        ]


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def address_of(number: int) -> str:
    return f"192.0.2.{30 + number}"


def mac_of(number: int) -> str:
    return f"52:54:00:5a:00:{number:02x}"


@dataclass
class BootingMachines:
    """Machines of registered hosts that boot their own disk: offers, the loader by TFTP and HTTP, scripts, pulls."""

    namespace: str
    latencies: Latencies
    acknowledged: Acknowledged
    leases: Leases
    objects: list[str]
    chance: random.Random
    number: int = 0

    def step(self) -> None:
        self.number += 1
        which = self.number % HOSTS
        requests = MachineRequests(self.namespace, address_of(which), may_fail=False)
        mac = mac_of(which)
        with self.leases.lock, self.latencies.of("offer"):
            kind, address = self.leases.exchange_alone(mac.replace(":", ""), [(53, b"\1"), *FIRMWARE])
        if (kind, socket.inet_ntoa(address)) != (OFFER, address_of(which)):
            self.acknowledged.fault(f"the DISCOVER of {mac} is answered with kind {kind}, {socket.inet_ntoa(address)}")
        with self.latencies.of("script"):
            script = requests.send("GET", f"/boot/{mac}.ipxe")
        if script.status != 200 or not script.text.startswith("#!ipxe"):
            self.acknowledged.fault(f"the script of {mac}: {script.status}")
        with self.latencies.of("tftp"):
            size = read_by_tftp(self.namespace, address_of(which), LOADER)
        with self.latencies.of("loader by http"):
            loader = requests.send("GET", f"/bootfiles/{LOADER}")
        if size != len(loader.body):
            self.acknowledged.fault(f"{size} bytes of {LOADER} by TFTP, {len(loader.body)} by HTTP")
        for path in self.chance.sample(self.objects, min(10, len(self.objects))):
            with self.latencies.of("pull"):
                found = requests.send("GET", path)
            if found.status != 200:
                self.acknowledged.fault(f"{path}: {found.status}")


def read_by_tftp(namespace: str, address: str, name: str) -> int:
    """Read a file by RFC 1350 and 2348; return its size."""
    with inside(namespace):
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with opened:
        opened.bind((address, 0))
        opened.settimeout(10.0)
        opened.sendto(b"\0\1" + name.encode() + b"\0octet\0blksize\x001428\0", (SERVER, 69))
        size, expected = 0, 1
        for _ in range(100_000):
            data, server = opened.recvfrom(2048)
            kind, block = struct.unpack_from("!HH", data)
            if kind == 6:
                opened.sendto(b"\0\4\0\0", server)
            elif kind == 3:
                opened.sendto(struct.pack("!HH", 4, block), server)
                if block == expected & 0xFFFF:
                    size, expected = size + len(data) - 4, expected + 1
                    if len(data) - 4 < 1428:
                        return size
            else:
                raise OSError(f"TFTP sent {data[:80]!r}")
    raise OSError("the transfer does not end")


@dataclass
class Reads:
    """A program that reads the API, a page and the metrics."""

    operator: Operator
    latencies: Latencies
    acknowledged: Acknowledged
    number: int = 0

    def step(self) -> None:
        self.number += 1
        path = PATHS[self.number % len(PATHS)]
        with self.latencies.of("api" if path.startswith("/api") else "page" if path == "/" else "metrics"):
            answer = self.operator.send("GET", path)
        if answer.status != 200:
            self.acknowledged.fault(f"{path}: {answer.status}")
        threading.Event().wait(0.05)


@dataclass
class Streams:
    """A browser that opens the stream of events, reads for a second, and goes away."""

    control: Path
    latencies: Latencies

    def step(self) -> None:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.settimeout(30.0)
            with self.latencies.of("event stream"):
                opened.connect(str(self.control))
                opened.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                begins = opened.recv(1024)
            if not begins.startswith(b"HTTP/1.1 200 "):
                raise OSError(f"the stream of events begins with {begins[:80]!r}")
            deadline_s = time.monotonic() + 1.0
            while (left_s := deadline_s - time.monotonic()) > 0:
                opened.settimeout(left_s)
                try:
                    if not opened.recv(65536):
                        raise OSError("the stream of events ended")
                except TimeoutError:
                    return


@dataclass
class Reloads:
    """An operator that reloads the configuration."""

    operator: Operator
    latencies: Latencies
    acknowledged: Acknowledged

    def step(self) -> None:
        with self.latencies.of("reload"):
            answer = self.operator.send("POST", "/api/v1/reload")
        if answer.status != 200:
            self.acknowledged.fault(f"a reload: {answer.status} {answer.text}")
        threading.Event().wait(2.0)
