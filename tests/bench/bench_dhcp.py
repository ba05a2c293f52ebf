"""Offers per second of the running daemon beside dnsmasq's proxy, each alone on one core, in turns within one run.

Run as root: `python tests/bench/bench_dhcp.py [MACHINES]`. Two namespaces and a veth pair, removed at the end. netboot
is `python -m netboot serve` as an operator runs it: log to a file, metrics, events and machines in SQLite. The client,
on the other core, keeps N requests outstanding. Each machine is a registered and armed host with a MAC address and a
UUID of its own; it sends one DISCOVER to a server that was just started and whose store has no machine ("first"), and
two more later ("again"), each in a transaction of its own. The CPU time per machine holds on a busy computer too, where
rates say little.
"""

# ruff: noqa: T201
import asyncio
import json
import logging
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from netboot.app.store_access import offline_administration
from netboot.operate.arming import ArmRequest
from netboot.registry.load import load as load_configuration

MACHINES = 5000
OUTSTANDING = (1, 64, 1000)
AGAIN = 2  # further DISCOVERs of each machine
ROUNDS = 2
SERVER, CLIENT = f"nbbs{os.getpid()}", f"nbbc{os.getpid()}"
SO_RCVBUFFORCE = 33
LOST_AFTER_S = 0.5
READY_WITHIN_S = 120.0
STORE, ARMED_STORE = "netboot.db", "armed.db"
SETTINGS = """\
network: {interfaces: [s0]}
admin: {socket: control.sock, listen: 127.0.0.1:8470}
bootfiles: {directories: [boot]}
content: {directory: content}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
hosts: {files: [hosts.yaml]}
log: {level: info, format: json}
"""


def name_of(number: int) -> str:
    return f"w{number:04x}"


def mac_of(number: int) -> bytes:
    return bytes.fromhex("52540000") + number.to_bytes(2, "big")


def appliance(directory: Path, machines: int) -> None:
    """Write what a rack of armed hosts needs; arm them."""
    (directory / "netboot.yaml").write_text(SETTINGS)
    numbers = range(machines)
    hosts = [f"  {name_of(each)}: {{role: worker, mac: '{mac_of(each).hex(':')}'}}" for each in numbers]
    (directory / "hosts.yaml").write_text("cluster: {name: bench}\nhosts:\n" + "\n".join(hosts) + "\n")
    for name in ("boot", "content"):
        (directory / name).mkdir()
    pe_for_x64 = b"MZ" + bytes(0x3A) + b"\x40\0\0\0PE\0\0\x64\x86"
    (directory / "boot" / "snponly.efi").write_bytes(pe_for_x64 + bytes(1000))
    asyncio.run(arm(directory / "netboot.yaml", machines))
    shutil.copy(directory / STORE, directory / ARMED_STORE)


def restore_store(directory: Path) -> None:
    """Give the next server a store of armed hosts that never booted."""
    for each in directory.glob(f"{STORE}*"):
        each.unlink()
    shutil.copy(directory / ARMED_STORE, directory / STORE)


async def arm(settings: Path, machines: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with offline_administration(load_configuration(settings)) as administration:
        await administration.arm(ArmRequest(list(map(name_of, range(machines))), reason="bench", force=True))


def environment(directory: Path) -> dict[str, str]:
    return os.environ | {"NETBOOT_CONFIG": str(directory / "netboot.yaml")}


def messages(machines: int = MACHINES) -> list[bytes]:
    """One DISCOVER of EDK2 per machine, byte by byte, since the daemon's own codec is what is measured."""
    vendor_class = b"PXEClient:Arch:00007:UNDI:003001"
    found = []
    for number in range(machines):
        mac = mac_of(number)
        header = struct.pack("!4BIHH16x16s192x", 1, 1, 6, 0, 0, 0, 0x8000, mac)  # the xid is written in place
        options = (b"\x35\x01\x01", b"\x39\x02\x05\xc0", b"\x37\x23" + bytes(range(1, 36)))
        identity = (b"\x61\x11" + bytes(11) + mac, b"\x5e\x03\x01\x03\x01", b"\x5d\x02\x00\x07")
        parts = (header, b"\x63\x82\x53\x63", *options, *identity, b"\x3c\x20" + vendor_class, b"\xff")
        found.append(b"".join(parts).ljust(300, b"\0"))
    return found


@dataclass(frozen=True)
class Load:
    """What one run with so many requests outstanding measured."""

    offers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    lost: int


def load(outstanding: int, sent_messages: list[bytes], first_xid: int) -> Load:
    """Send these DISCOVERs, each once, and wait for the rest; raise IndexError if nothing at all came back."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"c0\0")
    client.bind(("0.0.0.0", 68))
    client.setblocking(False)
    sent: dict[int, float] = {}
    took: list[float] = []
    lost = position = 0
    started = time.perf_counter()
    while position < len(sent_messages) or sent:
        now = time.perf_counter()
        for _ in range(min(outstanding - len(sent), 64, len(sent_messages) - position)):
            data, xid = sent_messages[position], first_xid + position
            client.sendto(data[:4] + struct.pack("!I", xid) + data[8:], ("255.255.255.255", 67))
            sent[xid] = now
            position += 1
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
            ip(name, "link", "set", "lo", "up")
        ip(SERVER, "link", "add", "s0", "type", "veth", "peer", "name", "c0", "netns", CLIENT)
        for namespace, interface, address in ((SERVER, "s0", "192.0.2.10/24"), (CLIENT, "c0", "192.0.2.50/24")):
            ip(namespace, "addr", "add", address, "dev", interface)
            ip(namespace, "link", "set", interface, "up")
        yield


def ip(namespace: str, *arguments: str) -> None:
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)


NETBOOT = [sys.executable, "-m", "netboot"]
DNSMASQ = [
    *("dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=s0", "--bind-interfaces"),
    *("--dhcp-range=192.0.2.0,proxy", "--pxe-service=x86-64_EFI,boot,snponly.efi", "--pxe-service=7,boot,snponly.efi"),
    *("--user=root", "--dhcp-leasefile=/dev/null", "--pid-file=", "--log-facility=-"),
]


def cpu_ns(pid: int) -> int:
    """Read how long a process's threads have been on a CPU."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


@contextmanager
def serving(name: str, directory: Path) -> Iterator[int]:
    """Run one server on the first core; give its process id once it answers."""
    command = [*NETBOOT, "serve"] if name == "netboot" else DNSMASQ
    restore_store(directory)
    with (directory / f"{name}.log").open("ab") as log:
        server = subprocess.Popen(
            ["ip", "netns", "exec", SERVER, "taskset", "-c", "0", *command], stderr=log, env=environment(directory)
        )
    try:
        requested(1, machines=1, times=1, wait_s=READY_WITHIN_S)
        yield server.pid
    finally:
        server.terminate()
        server.wait(30)


def requested(outstanding: int, *, machines: int, times: int, wait_s: float = 0.0) -> Load:
    """Run the client on the last core; try again until a server answers."""
    command = [sys.executable, __file__, "load", str(outstanding), str(machines), str(times)]
    deadline = time.monotonic() + wait_s
    while True:
        ran = subprocess.run(
            ["ip", "netns", "exec", CLIENT, "taskset", "-c", str((os.cpu_count() or 1) - 1), *command],
            capture_output=True,
            check=False,
        )
        if ran.returncode == 0:
            return Load(**json.loads(ran.stdout))
        if time.monotonic() > deadline:
            raise TimeoutError(ran.stderr.decode())


def measure(name: str, directory: Path, outstanding: int, machines: int) -> None:
    with serving(name, directory) as pid:
        for contact, times in (("first", 1), ("again", AGAIN)):
            before_ns = cpu_ns(pid)
            result = requested(outstanding, machines=machines, times=times)
            cpu_us = (cpu_ns(pid) - before_ns) / result.offers / 1000
            print(
                f"| {outstanding} | {contact} | {name} | {result.offers / result.seconds:.0f} | {result.p50_ms:.2f} | "
                f"{result.p99_ms:.2f} | {result.lost} | {cpu_us:.0f} |",
                flush=True,
            )


def main() -> None:
    match sys.argv[1:]:
        case ["load", outstanding, machines, times]:
            sent_messages = messages(int(machines)) * int(times)
            first_xid = int.from_bytes(os.urandom(3), "big") << 8
            print(json.dumps(asdict(load(int(outstanding), sent_messages, first_xid))))
        case rest:
            machines = int(rest[0]) if rest else MACHINES
            print("| outstanding | contact | server | offers/s | p50 ms | p99 ms | lost | CPU µs per machine |")
            print("|---|---|---|---|---|---|---|---|")
            with tempfile.TemporaryDirectory() as made, namespaces():
                directory = Path(made)
                appliance(directory, machines)
                for outstanding in OUTSTANDING:
                    measure("dnsmasq", directory, outstanding, machines)
                    measure("netboot", directory, outstanding, machines)


if __name__ == "__main__":
    main()
