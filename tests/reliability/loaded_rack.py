"""An appliance of a rack and the clients that load it, over any number of crashes of the daemon."""

import hashlib
import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from fixtures.files import write_boot_files, write_files
from fixtures.image_layouts import Layout, mirrored
from fixtures.rack import Rack, a_rack
from netns import inside
from reliability import clients
from reliability.acknowledged import Acknowledged
from reliability.audit_trail import AuditTrail
from reliability.clients import Client, Machine, keep_working
from reliability.requests import MachineRequests, Operator
from reliability.sound_files import cut_off, faults_of_capture, leftovers, whole_lines

ARMED: Final = 4  # hosts of one operator who arms
INSTALLED: Final = 3  # machines at a load of 1
READ_CAPTURES: Final = 3  # of so many hosts after each kill
HOOK_PORT: Final = 9099
DELIVERY_S: Final = 30.0
SETTINGS: Final = """\
network: {{interfaces: [s0]}}
admin: {{socket: control.sock, listen: 127.0.0.1:8470}}
bootfiles: {{directories: [boot]}}
content: {{directory: content, deltas: true}}
store: {{url: "{url}", key_file: store.key}}
records: {{directory: records}}
logs: {{listen: "0.0.0.0:514"}}
hosts: {{files: [hosts.yaml, hosts.d]}}
log: {{level: info, format: json}}
dhcp:
  mode: reservation
  pool: [{{range: 192.0.2.100-192.0.2.240, network: 192.0.2.0/24}}]
hooks:
- {{name: recorder, url: "http://127.0.0.1:{port}/", secret_file: secret, timeout_s: 1, events: [install.moved]}}
"""
SQLITE: Final = "sqlite+aiosqlite:///netboot.db"


def armed_by(operator: int) -> list[str]:
    """Name the hosts that one operator arms."""
    return [f"a{operator * ARMED + number}" for number in range(ARMED)]


def installed(load: int) -> dict[str, str]:
    """Name the hosts whose machines are installed again and again, with their addresses."""
    return {f"m{number}": f"192.0.2.{20 + number}" for number in range(load * INSTALLED)}


def hosts_text(load: int) -> str:
    """Declare the hosts that are armed and those that are installed."""
    armed = [name for operator in range(load) for name in armed_by(operator)]
    lines = [f"  {name}: {{role: worker, mac: 52:54:00:0a:00:{number:02x}}}" for number, name in enumerate(armed)]
    lines += [
        f"  {name}: {{role: worker, mac: {mac_of(name)}, network: {{address: {address}/24}}}}"
        for name, address in installed(load).items()
    ]
    return (
        "cluster: {name: rackone, init: cp1}\n"
        "defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/vda, ntp: [192.0.2.1]}\n"
        "roles:\n"
        "  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}\n"
        "  worker: {ignition: {join: ign/worker-join.ign}}\n"
        "hosts:\n  cp1: {role: control-plane, mac: 52:54:00:aa:bb:01}\n" + "\n".join(lines) + "\n"
    )


def mac_of(name: str) -> str:
    return f"52:54:00:0b:00:{int(name[1:]):02x}"


@dataclass
class Deliveries:
    """A web server that accepts the deliveries of a hook: their ids."""

    ids: list[int] = field(default_factory=list)


@contextmanager
def receiving(namespace: str) -> Iterator[Deliveries]:
    """Run a receiver of hooks beside the daemon, which lives longer than it."""
    deliveries = Deliveries()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            deliveries.ids.append(body["id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Print nothing."""

        def handle(self) -> None:
            with suppress(ConnectionError):  # the daemon was killed
                super().handle()

    with inside(namespace):
        server = ThreadingHTTPServer(("127.0.0.1", HOOK_PORT), Handler)
    with server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield deliveries
        finally:
            server.shutdown()
            serving.join()


@dataclass
class LoadedRack:
    """The daemon, its clients, and what it acknowledged to them."""

    rack: Rack
    acknowledged: Acknowledged
    deliveries: Deliveries
    clients: list[Client]
    leases: clients.Leases
    operator: Operator
    load: int
    audit: AuditTrail
    logs: clients.ReadsLogs
    may_fail: bool = True
    starts_s: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    cut: set[bytes] = field(default_factory=set)  # the lines of logs that kills cut off

    def start(self) -> None:
        """Start the daemon, and measure how long it takes until it serves."""
        self.cut |= {cut_off(log) for log in self.rack.directory.glob("records/*/*.log")}
        began_s = time.monotonic()
        self.rack.start()
        self.starts_s.append(time.monotonic() - began_s)

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Let every client work meanwhile."""
        stop = threading.Event()
        how = {"may_fail": self.may_fail}
        threads = [
            threading.Thread(target=keep_working, args=(client, stop, self.acknowledged), kwargs=how)
            for client in self.clients
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def compare(self) -> None:
        """Compare what was acknowledged with what the restarted daemon has; add each difference to the faults."""
        self._compare_hosts()
        self._compare_content()
        self._compare_leases()
        self._read_captures()
        self._read_logs()
        self.left.append(len(leftovers(self.rack.directory)))

    def _compare_hosts(self) -> None:
        acknowledged, get = self.acknowledged, self.operator.get
        installs = {each["host"]: each for each in get("/api/v1/installs")}
        armed = [name for operator in range(self.load) for name in armed_by(operator)]
        for host in armed:
            arming = installs.get(host, {}).get("arming")
            acknowledged.compare("arming", host, arming["reason"] if arming else None)
        histories = {host: {move["note"] for move in get(f"/api/v1/hosts/{host}/history")} for host in armed}
        for name in acknowledged.of("history"):
            host, _, reason = name.partition(" ")
            if reason not in histories[host]:
                acknowledged.fault(f"the arming {reason!r} of {host} is not in its history")
            del acknowledged.subjects["history", name]
        declared = {each["name"]: each for each in get("/api/v1/hosts")}
        written = clients.declared_in(self.rack.directory / "hosts.d")
        for name in acknowledged.of("declared"):
            found = declared[name]["labels"].get("n") if name in declared else None
            acknowledged.compare("declared", name, found)
            if (written[name]["labels"]["n"] if name in written else None) != found:
                acknowledged.fault(f"{name} is {found} in the daemon, and {written.get(name)} in hosts.d")
        for machine in self.clients:
            if isinstance(machine, Machine):
                self._compare_machine(machine, installs.get(machine.host, {}))

    def _compare_machine(self, machine: Machine, install: dict[str, Any]) -> None:
        state, is_armed = install.get("state"), bool(install.get("arming"))
        running = {"loading", "offered", "installing"}
        permitted = {
            "armed": ({"registered", "offered", "installed", "ready", "loading", "failed"}, {True}),
            "scripted": ({"offered", "loading"}, {True}),  # an offer is stored later than it is sent
            "read": ({"offered", "loading", "installing"}, {True}),
            "started": ({"installing", "installed"}, {True, False}),
            "done": ({"installed"}, {False}),
            "local": ({"installed", "ready"}, {False}),
            "ignited": ({"installed", "ready"}, {False}),
            "ready": ({"ready"}, {False}),
        }
        if machine.at == "idle":
            return
        states, armed = permitted[machine.at]
        if state not in states or is_armed not in armed or (state in running and not is_armed):
            self.acknowledged.fault(f"{machine.host} was acknowledged {machine.at}, and is {state}, armed: {is_armed}")

    def _compare_content(self) -> None:
        acknowledged = self.acknowledged
        ignition = (self.rack.directory / "ign" / "worker-join.ign").read_bytes()
        if acknowledged.of("ignition"):
            acknowledged.compare("ignition", "worker", hashlib.sha256(ignition).hexdigest())
        served = {each["name"]: each for each in (item["entry"] for item in self.operator.get("/api/v1/content"))}
        for name in acknowledged.of("release"):
            acknowledged.compare("release", name, name in served)
        for alias in acknowledged.of("alias"):
            acknowledged.compare("alias", alias, served[alias]["alias_of"] if alias in served else None)
        uploads = {each["id"]: each for each in self.operator.get("/api/v1/uploads")}
        for id_, upload in acknowledged.of("upload").items():
            found = uploads.get(id_)
            if found is None or (found["state"] == "receiving" and found["offset"] < upload.acknowledged):
                acknowledged.fault(f"upload {id_} had {upload.acknowledged} bytes, and is {found}")

    def _compare_leases(self) -> None:
        leases = {mac: each for mac, each in self.acknowledged.of("lease").items() if each.acknowledged}
        addresses = [lease.acknowledged for lease in leases.values()]
        if len(set(addresses)) != len(addresses):
            self.acknowledged.fault(f"an address was granted to two machines: {sorted(addresses)}")
        for mac in self.leases.chance.sample(sorted(leases), min(3, len(leases))):
            address = leases[mac].acknowledged
            answer = self._rebooted(mac, address)
            if answer != (clients.ACK, socket.inet_aton(address)):
                self.acknowledged.fault(f"{mac} had {address}, and requesting it again it gets {answer}")

    def _rebooted(self, mac: str, address: str) -> tuple[int, bytes] | None:
        for _ in range(3):
            with suppress(TimeoutError):
                return self.leases.reboot(mac, address)
        return None

    def _read_captures(self) -> None:
        scratch = self.rack.directory / "scratch"
        scratch.mkdir(exist_ok=True)
        for host in self.leases.chance.sample(sorted(installed(self.load)), READ_CAPTURES):
            kept = self.operator.get(f"/api/v1/installs/{host}/captures")
            for record in kept[-2:]:
                answer = self.operator.send("GET", f"/api/v1/installs/{host}/capture?boot={record['number']}")
                self.acknowledged.faults += faults_of_capture(answer.body, scratch)

    def _read_logs(self) -> None:
        """Compare the lines that an operator was shown with the files, and those of the last boot with the API."""
        logs, files = self.logs, sorted((self.rack.directory / "records" / self.logs.host).glob("*.log"))
        kept = [line for file in files for line in whole_lines(file, self.cut)]
        for line in logs.shown - set(kept):
            self.acknowledged.fault(f"the line {line} of {logs.host} was shown, and is not kept")
        if len(set(kept)) != len(kept):
            self.acknowledged.fault(f"a line of {logs.host} is kept twice")
        if files and logs.read() != whole_lines(files[-1], self.cut):
            self.acknowledged.fault(f"the log of {logs.host} that is shown is not that of {files[-1]}")
        logs.shown = set()

    def undelivered(self) -> set[int]:
        """Wait for the hook; return the events that it did not get."""
        deadline = time.monotonic() + DELIVERY_S
        while True:
            text = self.operator.send("GET", "/api/v1/events?event=install.moved&after=0&follow=0").text
            stored = {int(line[3:]) for line in text.splitlines() if line.startswith("id:")}
            left = stored - set(self.deliveries.ids)
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.2)


def give_addresses(rack: Rack, addresses: Iterable[str]) -> None:
    """Give the machines their addresses before they are leased: the appliance's ARP probe must find nobody there."""
    command = ["ip", "netns", "exec", rack.client_namespace, "sysctl", "-qw", "net.ipv4.conf.c0.arp_ignore=8"]
    subprocess.run(command, check=True, timeout=10)
    for address in addresses:
        rack.add_client_address(address)
        rack.ip("neigh", "replace", address, "lladdr", rack.client_mac(), "dev", "s0", "nud", "permanent")


@contextmanager
def a_loaded_rack(
    directory: Path, url: str, *, seed: int, archive: bytes, load: int = 1, may_fail: bool = True
) -> Iterator[LoadedRack]:
    """Make an appliance, its clients and the receiver of its hook; the daemon is not started.

    With a `load` of n there are n times as many operators and machines as with 1. A request without a whole answer is
    repeated if the daemon `may_fail`, because it is killed; else it is a fault, and so is an answer of 400 or more.
    """
    write_files(directory, settings=SETTINGS.format(url=url, port=HOOK_PORT), hosts=hosts_text(load))
    (directory / "hosts.d").mkdir()
    (directory / "boot").mkdir()
    write_boot_files(directory / "boot")
    (directory / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (directory / "secret").chmod(0o600)
    layout = Layout()
    layout.name(layout.image("ui", layer_bytes=60_000), "olcne/ui:1.33")
    worker_file = (directory / "ign" / "worker-join.ign").read_bytes()
    images = mirrored(directory / "images.tgz", [layout]).read_bytes()
    acknowledged, operator = Acknowledged(), Operator(directory / "control.sock", may_fail)
    acknowledged.subject("ignition", "worker").acknowledged = hashlib.sha256(worker_file).hexdigest()
    with a_rack(directory) as rack, receiving(rack.server_namespace) as deliveries:
        give_addresses(rack, installed(load).values())
        leases = clients.Leases(rack.client_namespace, acknowledged, random.Random(f"{seed} leases"), may_fail)
        logs = clients.ReadsLogs(operator, "m0")
        working: list[Client] = [
            clients.SetsIgnition(operator, acknowledged, worker_file),
            clients.SendsLogs(rack.client_namespace, installed(load)[logs.host]),
            leases,
        ]
        if may_fail:  # what it was shown is compared after each crash
            working.append(logs)
        for number in range(load):
            chance = [random.Random(f"{seed} {number} {client}") for client in range(2)]
            working += [
                clients.Arms(operator, acknowledged, chance[0], armed_by(number)),
                clients.DeclaresHosts(operator, acknowledged, chance[1], first=number * clients.DECLARED),
                clients.SendsContent(operator, acknowledged, archive, images, prefix=f"up{number}"),
            ]
        for host, address in installed(load).items():
            requests = MachineRequests(rack.client_namespace, address, may_fail)
            working.append(Machine(operator, requests, acknowledged, leases, host, mac_of(host)))
        try:
            audit = AuditTrail(operator, acknowledged)
            yield LoadedRack(rack, acknowledged, deliveries, working, leases, operator, load, audit, logs, may_fail)
        finally:
            if leases.wire is not None:
                leases.wire.close()
