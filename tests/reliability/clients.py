"""The clients of an appliance under load, each in a thread: operators, machines, and programs that send content.

A client repeats what was not answered, as the real ones do, and continues after a crash where it was.
"""

import hashlib
import json
import random
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import yaml
from fixtures.packets import SERVER, UEFI, message, options_of
from fixtures.rack import token_in
from fixtures.tus_headers import continuation, creation
from netns import inside
from reliability.acknowledged import Acknowledged
from reliability.requests import LOST, MachineRequests, Operator
from reliability.sound_files import LogLine, log_line

PAUSE_S: Final = 0.05
DECLARED: Final = 6  # hosts of one operator who declares
LOGS_S: Final = 0.3
PIECE_BYTES: Final = 48 << 10
RELEASE: Final = "ock-1.31-amd64"
DHCP_S: Final = 1.5
FIRMWARE_S: Final = 4.0  # PXE firmware waits so long for the offer of its first DISCOVER
ACK: Final = 5
FIRMWARE: Final = [(60, UEFI), (93, b"\0\7"), (77, b"iPXE")]


class Client(Protocol):
    def step(self) -> None: ...


def keep_working(client: Client, stop: threading.Event, acknowledged: Acknowledged, *, may_fail: bool) -> None:
    """Let a client work until `stop`; an appliance that is gone is tried again, and is a fault unless it `may_fail`."""
    while not stop.is_set():
        try:
            client.step()
        except Exception as error:  # of the test or of an answer: it must not end the thread unseen
            if not (may_fail and isinstance(error, LOST)):
                acknowledged.fault(f"{type(client).__name__}: {type(error).__name__}: {error}")
            stop.wait(PAUSE_S)


@dataclass
class Arms:
    """Arms hosts and cancels their armings."""

    operator: Operator
    acknowledged: Acknowledged
    chance: random.Random
    hosts: Sequence[str]
    number: int = 0

    def step(self) -> None:
        self.number += 1
        host = self.chance.choice(self.hosts)
        arms = self.chance.random() < 0.6
        reason = f"{'arm' if arms else 'cancel'} {self.number}"
        body = {"reason": reason, "force": True} if arms else {"reason": reason}
        with self.acknowledged.change("arming", host, reason if arms else None) as change:
            verb = "arm" if arms else "cancel"
            change.status = self.operator.send("POST", f"/api/v1/hosts/{host}/{verb}", body).status
        if change.status == 200 and arms:
            self.acknowledged.note("history", f"{host} {reason}", True)


@dataclass
class Machine:
    """A host that is armed and installed, again and again: its script, Kickstart, reports and Ignition."""

    operator: Operator
    requests: MachineRequests
    acknowledged: Acknowledged
    dhcp: "Leases"
    host: str
    mac: str
    at: str = "idle"
    kickstart: str = ""
    report: str = ""
    ignition: str = ""

    def step(self) -> None:
        following = {
            "idle": self._arm,
            "armed": self._boot,
            "scripted": self._read_kickstart,
            "read": lambda: self._report("started"),
            "started": lambda: self._report("done"),
            "done": self._check_local,
            "local": self._read_ignition,
            "ignited": lambda: self._report("ready"),
            "ready": self._check_local,
        }
        following[self.at]()

    def _arm(self) -> None:
        body = {"reason": "install", "attempts": 50, "force": True}
        answer = self.operator.send("POST", f"/api/v1/hosts/{self.host}/arm", body)
        if answer.status == 200:
            self._reached("armed")

    def _boot(self) -> None:
        kind, _ = self.dhcp.take(self.mac.replace(":", ""))
        if kind != ACK:  # it begins again
            if not self.dhcp.may_fail:
                self.acknowledged.fault(f"{self.host} requests an address, and is answered with kind {kind}")
            return
        script = self.requests.send("GET", f"/boot/{self.mac}.ipxe").text
        if "/ks/" in script:
            self.kickstart = token_in(script, "ks")
            self._reached("scripted")
        elif "exit 1" in script:
            self.acknowledged.fault(f"{self.host} is armed, and its script starts its disk")

    def _read_kickstart(self) -> None:
        answer = self.requests.send("GET", f"/ks/{self.kickstart}")
        if not self._is_served(answer.status, "the Kickstart whose token its script had"):
            return
        self.report, self.ignition = token_in(answer.text, "report"), token_in(answer.text, "ign")
        self._reached("read")

    def _report(self, event: str) -> None:
        answer = self.requests.send("POST", f"/report/{self.report}/{event}", b"")
        if self._is_served(answer.status, f"the report {event}"):
            self._reached(event)

    def _check_local(self) -> None:
        """Request the script of a host whose install was acknowledged: it must not be installed again."""
        script = self.requests.send("GET", f"/boot/{self.mac}.ipxe").text
        if "/ks/" in script or "vmlinuz" in script:
            self.acknowledged.fault(f"{self.host} reported done, was acknowledged, and is offered an installer")
        elif "exit 1" in script:
            self._reached("local" if self.at == "done" else "idle")

    def _read_ignition(self) -> None:
        answer = self.requests.send("GET", f"/ign/{self.ignition}")
        if self._is_served(answer.status, "its Ignition"):
            json.loads(answer.body)
            self._reached("ignited")

    def _is_served(self, status: int, what: str) -> bool:
        if status not in (200, 503):
            self.acknowledged.fault(f"{self.host}, {self.at}: {what} is refused with {status}")
            self.at = "idle"
        return status == 200

    def _reached(self, step: str) -> None:
        self.at = step
        self.acknowledged.count(f"boot {step}")


@dataclass
class DeclaresHosts:
    """Declares, changes and removes hosts in hosts.d."""

    operator: Operator
    acknowledged: Acknowledged
    chance: random.Random
    first: int = 0
    number: int = 0

    def step(self) -> None:
        self.number += 1
        slot = self.first + self.chance.randrange(DECLARED)
        name, mac = f"d{slot}", f"52:54:00:dd:00:{slot:02x}"
        label = str(self.number)
        declared = self.acknowledged.subject("declared", name)
        path = f"/api/v1/hosts/{name}"
        if declared.acknowledged is None:
            values = {"role": "worker", "mac": mac, "labels": {"n": label}}
            with self.acknowledged.change("declared", name, label, audit=("add host", name)) as change:
                change.status = self.operator.send("POST", "/api/v1/hosts", {"name": name, "values": values}).status
        elif self.chance.random() < 0.7:
            with self.acknowledged.change("declared", name, label, audit=("set host", name)) as change:
                change.status = self.operator.send("PATCH", path, {"labels": {"n": label}}).status
        else:
            with self.acknowledged.change("declared", name, None, audit=("remove host", name)) as change:
                change.status = self.operator.send("DELETE", path).status


@dataclass
class SetsIgnition:
    """Sets the Ignition file of the workers, each time with other white space at its end."""

    operator: Operator
    acknowledged: Acknowledged
    file: bytes
    number: int = 0

    def step(self) -> None:
        self.number += 1
        body = self.file + b"\n" * (1 + self.number % 500)
        digest = hashlib.sha256(body).hexdigest()
        with self.acknowledged.change("ignition", "worker", digest, audit=("set ignition", "worker")) as change:
            answer = self.operator.send("PUT", "/api/v1/cluster/ignition/worker?renewed=1", body)
            change.status = answer.status
        if answer.status not in (200, 503):
            self.acknowledged.fault(f"the Ignition of workers is refused: {answer.text}")


@dataclass
class SendsContent:
    """Uploads releases and images by tus, waits for their imports, moves an alias, and removes what it sent before."""

    operator: Operator
    acknowledged: Acknowledged
    archive: bytes
    images: bytes
    prefix: str = "up"  # of its releases, and its alias
    number: int = 0
    upload: str = ""
    name: str = ""
    sent: int = 0
    data: bytes = b""
    imported: list[str] = field(default_factory=list)

    def step(self) -> None:
        if not self.upload:
            self._begin()
        elif self.sent < len(self.data):
            self._send()
        else:
            self._await_import()

    def _begin(self) -> None:
        self.number += 1
        is_release = self.number % 3 != 0
        self.name = f"{self.prefix}-{self.number}" if is_release else ""
        self.data = self.archive if is_release else self.images
        headers = creation(
            len(self.data), **({"kind": "archive", "name": self.name} if is_release else {"kind": "images"})
        )
        began_at = datetime.now(UTC)
        answer = self.operator.send("POST", "/api/v1/uploads", **_named(headers))
        if answer.status == 201 and is_release:  # the lines of images have no name of their own
            self.acknowledged.note_audited("begin upload", self.name, began_at)
        if answer.status == 201:
            self.upload, self.sent = answer.json["id"], 0
            self.acknowledged.note("upload", self.upload, 0)

    def _send(self) -> None:
        piece = self.data[self.sent : self.sent + PIECE_BYTES]
        path = f"/api/v1/uploads/{self.upload}"
        answer = self.operator.send("PATCH", path, piece, **_named(continuation(self.sent)))
        if answer.status == 204:
            self.sent += len(piece)
            self.acknowledged.note("upload", self.upload, self.sent)
        elif answer.status == 409:  # an offset: more was received than was acknowledged
            self.sent = int(self.operator.get(path)["offset"])
        elif answer.status == 422:  # it has all
            self.sent = len(self.data)
        else:
            self.acknowledged.fault(f"upload {self.upload} is refused with {answer.status}: {answer.text}")
            self.upload = ""

    def _await_import(self) -> None:
        shown = self.operator.get(f"/api/v1/uploads/{self.upload}")
        if shown["state"] == "receiving":
            self.sent = int(shown["offset"])
        elif shown["state"] == "failed":
            self.acknowledged.fault(f"the import of {self.name or 'images'} failed: {shown['error']}")
            self.upload = ""
        elif shown["state"] == "done":
            self.upload = ""
            self.acknowledged.count("import")
            if self.name:
                self._use(self.name)
        else:
            threading.Event().wait(PAUSE_S)

    def _use(self, name: str) -> None:
        self.acknowledged.note("release", name, True)
        self.imported.append(name)
        audit = "change content", f"promote {name} {self.prefix}"
        with self.acknowledged.change("alias", self.prefix, name, audit=audit) as change:
            body = {"name": name, "alias": self.prefix}
            change.status = self.operator.send("POST", "/api/v1/content/promote", body).status
        for old in [each for each in self.imported if each != name]:
            with self.acknowledged.change("release", old, False, audit=("change content", f"remove {old}")) as change:
                change.status = self.operator.send("DELETE", f"/api/v1/content/entries/{old}").status
            if change.status in (200, 404):
                self.acknowledged.note("release", old, False)
                self.imported.remove(old)


@dataclass
class Leases:
    """Machines that take addresses of the pool; each offer that it requests and is acknowledged is recorded."""

    namespace: str
    acknowledged: Acknowledged
    chance: random.Random
    may_fail: bool = True
    wire: socket.socket | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> None:
        mac = f"525400ee00{self.chance.randrange(60):02x}"
        known = self.acknowledged.subject("lease", mac).acknowledged
        kind, address = self.take(mac) if known is None else self.reboot(mac, known)
        if kind == ACK:
            self.acknowledged.note("lease", mac, socket.inet_ntoa(address))
        elif not self.may_fail:
            self.acknowledged.fault(f"the REQUEST of {mac}, which had {known}, is answered with kind {kind}")

    def take(self, mac: str) -> tuple[int, bytes]:
        """Take an address by DISCOVER and REQUEST; return kind and address of the last reply."""
        _, offered = self.exchange(mac, [(53, b"\1"), *FIRMWARE])
        return self.exchange(mac, [(53, b"\3"), (54, socket.inet_aton(SERVER)), (50, offered), *FIRMWARE])

    def reboot(self, mac: str, address: str) -> tuple[int, bytes]:
        """Request the address that this machine had before it was restarted, as INIT-REBOOT of RFC 2131 has it."""
        return self.exchange(mac, [(53, b"\3"), (50, socket.inet_aton(address))])

    def exchange(self, mac: str, options: list[tuple[int, bytes]]) -> tuple[int, bytes]:
        """Broadcast a message; return kind and address of its reply; raises TimeoutError, of LOST, if there is none."""
        with self.lock:
            return self.exchange_alone(mac, options)

    def exchange_alone(self, mac: str, options: list[tuple[int, bytes]]) -> tuple[int, bytes]:
        """Do as `exchange`, for one who has the lock."""
        opened, xid = self._opened(), self.chance.getrandbits(32)
        packet = message([*options, (55, b"\1\3\6\x33")], xid=xid, chaddr=bytes.fromhex(mac))
        opened.sendto(packet, ("255.255.255.255", 67))
        for _ in range(50):
            try:
                data = opened.recv(4096)
            except TimeoutError:
                break
            if struct.unpack_from("!I", data, 4)[0] == xid:
                return options_of(data)[53][0], data[16:20]
        raise TimeoutError(f"the DHCP message {options[0][1][0]} of {mac} got no reply")

    def _opened(self) -> socket.socket:
        if self.wire is None:
            with inside(self.namespace):
                self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"c0\0")
            self.wire.bind(("0.0.0.0", 68))
            self.wire.settimeout(DHCP_S if self.may_fail else FIRMWARE_S)
        return self.wire


@dataclass
class SendsLogs:
    """A machine that is installed and sends the lines of its log."""

    namespace: str
    address: str
    number: int = 0

    def step(self) -> None:
        with inside(self.namespace):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with opened:
            opened.bind((self.address, 0))
            for _ in range(10):
                self.number += 1
                opened.sendto(f"<14>anaconda: line {self.number}\n".encode(), (SERVER, 514))
        threading.Event().wait(PAUSE_S)


@dataclass
class ReadsLogs:
    """An operator who reads the log of a machine's last boot. A machine gets no answer to a line: `shown` is kept."""

    operator: Operator
    host: str
    shown: set[LogLine] = field(default_factory=set)

    def step(self) -> None:
        self.shown |= set(self.read())
        threading.Event().wait(LOGS_S)

    def read(self) -> list[LogLine]:
        """Read the log as it is; a machine without one has no lines."""
        answer = self.operator.send("GET", f"/api/v1/installs/{self.host}/logs?follow=0")
        events = answer.text.split("\n\n") if answer.status == 200 else []
        return [log_line(each.partition("data: ")[2]) for each in events if each.startswith("event: line\n")]


def declared_in(directory: Path) -> dict[str, Any]:
    """Read the hosts that the files of a directory declare."""
    found: dict[str, Any] = {}
    for file in sorted(directory.glob("*.yaml")):
        found |= yaml.safe_load(file.read_text())["hosts"]
    return found


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in headers.items()}
