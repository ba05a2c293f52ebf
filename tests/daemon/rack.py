"""A rack of two network namespaces: the daemon as a process in one, machines played by scapy and curl in the other."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netns import inside
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

TIMEOUT_S = 15.0
SERVER = "192.0.2.10"
BASE = f"http://{SERVER}:8080"


@dataclass
class Answer:
    """What curl got."""

    status: int
    headers: str
    body: str


@dataclass
class Machine:
    """One server of the rack: a MAC, an address, and the wire that it hangs on."""

    rack: "Rack"
    mac: str
    address: str

    def discover(
        self, *, vendor: bytes = b"PXEClient:Arch:00007:UNDI:003001", arch: int = 7, ipxe: bool = False
    ) -> Any:
        """Send a DISCOVER and return the OFFER's DHCP layer, or None."""
        options: list[Any] = [("message-type", "discover"), ("vendor_class_id", vendor), (93, arch.to_bytes(2, "big"))]
        options += [(77, b"iPXE")] if ipxe else []
        self.rack.send(self._bootp() / DHCP(options=[*options, "end"]), self.mac)
        return self.rack.receive()

    def request(self) -> None:
        """Broadcast the REQUEST to the LAN's own DHCP server that shows this machine's address."""
        options = [("message-type", "request"), ("server_id", "192.0.2.1"), ("requested_addr", self.address), "end"]
        self.rack.send(self._bootp() / DHCP(options=options), self.mac)

    def boots(self) -> None:
        """Announce itself as firmware and as iPXE, and take its address."""
        self.discover()
        self.discover(ipxe=True)
        self.request()
        time.sleep(0.1)  # a broadcast has no acknowledgement; what follows on TCP must come after it

    def get(self, path: str, *arguments: str) -> Answer:
        """Ask by HTTP from this machine's address."""
        url = path if path.startswith("http") else BASE + path
        return self.rack.curl("--interface", self.address, *arguments, url)

    def script(self) -> str:
        return self.get(f"/boot/{self.mac}.ipxe").body

    def report(self, token: str, event: str, body: str = "") -> int:
        return self.get(f"/report/{token}/{event}", "-X", "POST", "--data-binary", body).status

    def _bootp(self) -> Packet:
        raw = bytes.fromhex(self.mac.replace(":", ""))
        return BOOTP(op=1, chaddr=raw, xid=int.from_bytes(os.urandom(4), "big"), flags="B")


class Rack:
    """The namespaces, the files of one appliance, and its process."""

    def __init__(self, directory: Path, server: str, client: str) -> None:
        self.directory = directory
        self.server_namespace, self.client_namespace = server, client
        self._process: subprocess.Popen[bytes] | None = None
        self._wire = self._open_wire()

    # The daemon

    def start(self, *, is_awaited: bool = True) -> None:
        """Start the daemon and wait until it is ready; not where it is not `is_awaited`."""
        notify = self.directory / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(notify))
            manager.settimeout(TIMEOUT_S)
            with (self.directory / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    ["ip", "netns", "exec", self.server_namespace, sys.executable, "-m", "netboot", "serve"],
                    stderr=log,
                    env=os.environ | {"NETBOOT_CONFIG": str(self.config), "NOTIFY_SOCKET": str(notify)},
                )
            while is_awaited and b"READY=1" not in manager.recv(4096):
                pass

    def launch(self) -> None:
        """Start the daemon where it must not get ready."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self.server_namespace, sys.executable, "-m", "netboot", "serve"],
                stderr=log,
                env=os.environ | {"NETBOOT_CONFIG": str(self.config)},
            )

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Read the log lines of one event since the last start."""
        found = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return [line for line in found if line["event"] == event]

    def api(self, path: str, *arguments: str) -> Any:
        """Send a request to the administration's socket."""
        command = ["curl", "-sS", "--max-time", "10", "--unix-socket", str(self.directory / "control.sock"), *arguments]
        done = subprocess.run([*command, f"http://localhost{path}"], capture_output=True, timeout=20, check=True)
        return json.loads(done.stdout)

    @property
    def config(self) -> Path:
        return self.directory / "netboot.yaml"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, *, timeout_s: float = TIMEOUT_S) -> int:
        assert self._process is not None
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)
        self._wire.close()

    def wait_for_log(self, text: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.log:
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} is not in the log:\n{self.log}")
            time.sleep(0.05)

    # The command line

    def netboot(self, *arguments: str, status: int = 0) -> str:
        """Run a command of netboot's on the appliance; return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of netboot's on the appliance."""
        return subprocess.run(
            ["ip", "netns", "exec", self.server_namespace, sys.executable, "-m", "netboot", *arguments],
            env=os.environ | {"NETBOOT_CONFIG": str(self.config)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def install(self, host: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("install", "show", host, "--json").stdout)
        return found

    def curl_status(self) -> str:
        """Read the daemon's status over its control socket."""
        command = ["curl", "-sS", "--max-time", "10", "--unix-socket", self.directory / "control.sock"]
        done = subprocess.run([*command, "http://localhost/api/v1/status"], capture_output=True, check=True, timeout=20)
        return done.stdout.decode()

    # The wire

    def machine(self, mac: str, address: str) -> Machine:
        self.add_client_address(address)
        return Machine(self, mac, address)

    def send(self, payload: Packet, mac: str) -> None:
        frame = Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255")
        self._wire.send(bytes(frame / UDP(sport=68, dport=67) / payload))

    def receive(self, timeout_s: float = 1.0) -> Packet | None:
        """Wait for a DHCP answer of the server's; None where none comes."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._wire.settimeout(left)
            try:
                data, address = self._wire.recvfrom(65535)
            except TimeoutError:
                return None
            frame = Ether(data)
            if address[2] != socket.PACKET_OUTGOING and UDP in frame and frame[UDP].sport == 67:
                return frame
        return None

    def curl(self, *arguments: str) -> Answer:
        return self._curl(self.client_namespace, *arguments)

    @staticmethod
    def _curl(namespace: str, *arguments: str) -> Answer:
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, "curl", "-sS", "-i", "--max-time", "10", *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        headers, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        return Answer(int(headers.split()[1]), headers, body)

    def curl_api(self, *arguments: str) -> Answer:
        """Use the API on loopback, from the appliance itself; the last argument is a path."""
        *options, path = arguments
        return self._curl(self.server_namespace, *options, f"http://127.0.0.1:8470{path}")

    def _open_wire(self) -> socket.socket:
        with inside(self.client_namespace):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        wire.bind(("c0", 0))
        return wire

    def client_socket(self, *arguments: int) -> socket.socket:
        """Open a socket of the client's."""
        with inside(self.client_namespace):
            return socket.socket(*arguments)

    def server_socket(self, *arguments: int) -> socket.socket:
        """Open a socket on the appliance."""
        with inside(self.server_namespace):
            return socket.socket(*arguments)

    def add_route(self, network: str, via: str) -> None:
        """Let the appliance reach a network behind a router."""
        self._ip(self.server_namespace, "route", "add", network, "via", via)

    def add_client_address(self, address: str) -> None:
        """Give the client one more address."""
        self._ip(self.client_namespace, "addr", "replace", f"{address}/24", "dev", "c0")

    def ip(self, *arguments: str) -> None:
        """Run `ip` on the appliance."""
        self._ip(self.server_namespace, *arguments)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @staticmethod
    def _ip(namespace: str, *arguments: str) -> None:
        subprocess.run(["ip", "-n", namespace, *arguments], check=True, capture_output=True, timeout=10)


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Make the server's and the client's namespace with one wire between, and remove them."""
    server, client = f"nbds{os.getpid()}", f"nbdc{os.getpid()}"

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)

    try:
        for name in (server, client):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", server, "link", "add", "s0", "type", "veth", "peer", "name", "c0", "netns", client)
        for name, interface, address in ((server, "s0", f"{SERVER}/24"), (client, "c0", "192.0.2.66/24")):
            ip("-n", name, "addr", "add", address, "dev", interface)
            ip("-n", name, "link", "set", interface, "up")
        yield server, client
    finally:
        for name in (server, client):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=10)


@contextmanager
def running(directory: Path, *, starts: bool = True) -> Iterator[Rack]:
    """Run the appliance whose files are in `directory`, in namespaces of its own."""
    with namespaces() as (server, client):
        rack = Rack(directory, server, client)
        try:
            if starts:
                rack.start()
            yield rack
        finally:
            rack.stop()


def token_in(document: str, area: str) -> str:
    """Take the token of `/ks/`, `/ign/` or `/report/` out of a document."""
    found = re.search(rf"/{area}/([0-9a-f]{{32}})", document)
    assert found is not None, document
    return found[1]
