"""What the Kickstart's scripts do on a machine: run by a real shell, with real curl, against a server on loopback."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest

from netboot.model.host.disk_rule import DiskChoice, DiskRule
from netboot.model.host.host import Host
from netboot.render.ignition import overlay
from netboot.render.kickstart import kickstart
from netboot.render.template_engine import Engine

pytestmark = pytest.mark.integration

REPORT = "a" * 32


@dataclass
class ReportServer:
    """Answers each report with the next of its statuses, and then always with the last one; records the reports."""

    statuses: list[int]
    reports: list[tuple[str, bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[str]:
        return [path.removeprefix(f"/report/{REPORT}/") for path, _ in self.reports]

    def take(self, path: str, body: bytes) -> int:
        self.reports.append((path, body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def reports_answered_with(*statuses: int) -> Iterator[ReportServer]:
    server = ReportServer(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(server.take(self.path, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        server.port = httpd.server_port
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join()


@dataclass(frozen=True)
class FakeDisk:
    """One entry of /sys/block, and what udev has of it."""

    name: str
    size_bytes: int = 480_000_000_000
    rotational: int = 0
    removable: int = 0
    read_only: int = 0
    udev: dict[str, str] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[str, int]:
        return {
            "size": self.size_bytes // 512,
            "ro": self.read_only,
            "removable": self.removable,
            "queue/rotational": self.rotational,
        }


@dataclass
class Machine:
    """A directory in which to run one script section: its /tmp, and a `sleep` that returns at once."""

    engine: Engine
    host: Host
    shell: str
    home: Path

    def runs(self, section: str, server: ReportServer) -> subprocess.CompletedProcess[str]:
        document = kickstart(
            self.engine, self.host,
            mac=self.host.mac, base_url=server.url, report_token=REPORT, ignition_token="b" * 32,
        )  # fmt: skip
        body = re.search(rf"^%{section}\b.*\n((?:.*\n)*?)%end$", document, re.MULTILINE)
        assert body
        return self.runs_text(body[1].replace("/tmp/", f"{self.home}/").replace("/sys/block/", f"{self.home}/sys/"))

    def has_disks(self, *disks: "FakeDisk") -> None:
        """Give it these disks: in /sys/block, and as udev reports them."""
        for disk in disks:
            for path, value in disk.attributes.items():
                file = self.home / "sys" / disk.name / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{value}\n")
            (self.home / f"udev-{disk.name}").write_text("".join(f"{k}={v}\n" for k, v in disk.udev.items()))
        stub = self.home / "bin" / "udevadm"
        stub.write_text(f'#!/bin/sh\n[ "$1" = settle ] || cat "{self.home}/udev-${{3##*/}}"\n')

    def runs_text(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.shell, "-s"],
            check=False, input=text, capture_output=True, text=True, timeout=60,
            env={"PATH": f"{self.home}/bin:{os.environ['PATH']}", "LC_ALL": "C"},
        )  # fmt: skip


@pytest.fixture(params=["bash", "dash"])
def machine(request: pytest.FixtureRequest, engine: Engine, cp1: Host, tmp_path: Path) -> Machine:
    (tmp_path / "bin").mkdir()
    for name in ("sleep", "udevadm"):
        stub = tmp_path / "bin" / name
        stub.write_text("#!/bin/sh\nexit 0\n")
        stub.chmod(0o755)
    return Machine(engine, cp1, request.param, tmp_path)


@pytest.fixture
def disk() -> str:
    """Any block device: the scripts only look whether it is one."""
    for path in sorted(Path("/dev").iterdir()):
        if stat.S_ISBLK(path.lstat().st_mode):
            return str(path)
    pytest.skip("there is no block device here")


def test_a_missing_disk_is_reported_with_the_disks_present_and_nothing_starts(machine: Machine):
    with reports_answered_with(200) as server:
        ended = machine.runs("pre", server)

    assert ended.returncode == 1
    assert server.events == ["failed"]
    assert server.reports[0][1].decode().splitlines()[:2] == [
        f"{machine.host.disk} is not there: set hosts.cp1.disk to one of the disks present",
        "disks present:",
    ]
    assert "nothing was written" in ended.stderr


SSD = FakeDisk(
    "sda", udev={"ID_SERIAL_SHORT": "S3Z8NB0K", "ID_SERIAL": "SAMSUNG_MZ_S3Z8NB0K", "ID_MODEL": "SAMSUNG_MZ7LH"}
)
NVME = FakeDisk("nvme0n1", 960_000_000_000, udev={"ID_WWN": "eui.0025388B01", "ID_MODEL": "PERC H730P  Mini"})
HDD = FakeDisk("sdb", 4_000_000_000_000, rotational=1, udev={"ID_WWN": "0x5000C500A1B2C3D4", "ID_MODEL": "ST4000"})
STICK = FakeDisk("sdc", 8_000_000_000, removable=1)
OTHERS = (FakeDisk("loop0"), FakeDisk("sr0", removable=1), FakeDisk("sdd", 0), FakeDisk("sde", read_only=1), STICK)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (DiskRule(serial="S3Z8NB0K"), "sda"),
        (DiskRule(serial="SAMSUNG_MZ_S3Z8NB0K"), "sda"),
        (DiskRule(wwn="0x5000c500a1b2c3d4"), "sdb"),
        (DiskRule(wwn="eui.0025388b01"), "nvme0n1"),
        (DiskRule(model="perc h730p mini"), "nvme0n1"),
        (DiskRule(model="SAMSUNG"), "sda"),
        (DiskRule(rotational=True), "sdb"),
        (DiskRule(min_bytes=500_000_000_000, max_bytes=10**12), "nvme0n1"),
        (DiskRule(choose=DiskChoice.SMALLEST), "sda"),
        (DiskRule(choose=DiskChoice.LARGEST), "sdb"),
        (DiskRule(rotational=False, choose=DiskChoice.LARGEST), "nvme0n1"),
    ],
    ids=str,
)
def test_the_one_disk_that_a_rule_describes_is_used(machine: Machine, rule: DiskRule, expected: str):
    machine.host = replace(machine.host, disk=rule)
    machine.has_disks(SSD, NVME, HDD, *OTHERS)
    with reports_answered_with(200) as server:
        ended = machine.runs("pre", server)

    assert (ended.returncode, ended.stderr, server.events) == (0, "", ["started"])
    assert (machine.home / "netboot-disk.ks").read_text() == f"ignoredisk --only-use={expected}\n"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (DiskRule(serial="S3Z8"), "no disk fits hosts.cp1.disk (serial S3Z8)"),
        (
            DiskRule(rotational=False),
            "nvme0n1 and sda both fit hosts.cp1.disk (not rotational): add what only one of them has",
        ),
        (
            DiskRule(rotational=True, choose=DiskChoice.LARGEST),
            "sdf and sdb have the same size, and both fit hosts.cp1.disk (rotational, the largest): add serial or wwn",
        ),
    ],
    ids=str,
)
def test_a_rule_that_describes_no_disk_or_several_ends_the_install(machine: Machine, rule: DiskRule, reason: str):
    machine.host = replace(machine.host, disk=rule)
    machine.has_disks(SSD, NVME, HDD, replace(HDD, name="sdf", udev={}), *OTHERS)
    with reports_answered_with(200) as server:
        ended = machine.runs("pre", server)

    assert (ended.returncode, server.events) == (1, ["failed"])
    assert server.reports[0][1].decode().splitlines()[:2] == [reason, "disks present:"]
    assert not (machine.home / "netboot-disk.ks").exists()


def test_a_start_is_reported_until_it_is_acknowledged(machine: Machine, disk: str):
    machine.host = replace(machine.host, disk=disk)
    with reports_answered_with(503, 500, 200) as server:
        ended = machine.runs("pre", server)

    assert (ended.returncode, server.events) == (0, ["started", "started", "started"])


@pytest.mark.parametrize("status", [403, 404, 409, 410])
def test_a_start_that_is_refused_ends_the_install_at_once(status: int, machine: Machine, disk: str):
    machine.host = replace(machine.host, disk=disk)
    with reports_answered_with(status) as server:
        ended = machine.runs("pre", server)

    assert (ended.returncode, server.events) == (1, ["started", "failed"])
    assert f"the server does not allow this install (HTTP {status})" in ended.stderr


def test_a_start_that_nobody_acknowledges_ends_the_install(machine: Machine, disk: str):
    machine.host = replace(machine.host, disk=disk)
    with reports_answered_with(503) as server:
        ended = machine.runs("pre", server)

    assert ended.returncode == 1
    assert server.events == ["started"] * 40 + ["failed"] * 5


def test_the_end_is_reported_until_it_is_acknowledged(machine: Machine):
    with reports_answered_with(503, 404, 500, 200) as server:
        ended = machine.runs("post", server)

    assert (ended.returncode, server.events) == (0, ["done"] * 4)


def test_an_end_that_nobody_acknowledges_does_not_hold_the_machine_for_ever(machine: Machine):
    with reports_answered_with(503) as server:
        ended = machine.runs("post", server)

    assert (ended.returncode, server.events) == (0, ["done"] * 120)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        pytest.param(
            b"13:02:11,834 ERR ui.gui: first\n13:02:12,001 CRT anaconda: no space left\n13:02:12,2 INF end\n",
            b"the installer stopped: 13:02:12,001 CRT anaconda: no space left\n",
            id="the-last-error-of-two",
        ),
        pytest.param(b"an end\n", b"the installer stopped: no error in anaconda.log; see its end\n", id="no-error"),
    ],
)
def test_a_failure_begins_with_its_reason_and_carries_the_tail_of_anacondas_log(
    machine: Machine, cause: bytes, reason: bytes
):
    log = b"an old line\n" * 10_000 + cause
    (machine.home / "anaconda.log").write_bytes(log)
    with reports_answered_with(503, 200) as server:
        machine.runs("onerror", server)

    assert server.reports == [(f"/report/{REPORT}/failed", reason + log[-60_000:])] * 2


def test_a_refusal_in_pre_is_not_reported_a_second_time_by_onerror(machine: Machine):
    with reports_answered_with(200) as server:
        machine.runs("pre", server)
        machine.runs("onerror", server)

    assert server.events == ["failed"]


def ready_script(machine: Machine, server: ReportServer) -> str:
    url = f"{server.url}/report/{REPORT}/ready"
    document = json.loads(overlay(machine.engine, machine.host, version="3.4.0", ready_url=url))
    files = {file["path"]: file["contents"]["source"] for file in document["storage"]["files"]}
    return unquote(files["/etc/netboot/report-ready"].removeprefix("data:,"))


def test_the_installed_system_reports_ready_until_it_is_acknowledged(machine: Machine):
    with reports_answered_with(503, 500, 200) as server:
        ended = machine.runs_text(ready_script(machine, server))

    assert (ended.returncode, server.events) == (0, ["ready"] * 3)


def test_the_installed_system_stops_reporting_when_nobody_waits_for_it(machine: Machine):
    with reports_answered_with(404) as server:
        ended = machine.runs_text(ready_script(machine, server))

    assert (ended.returncode, server.events) == (0, ["ready"])


def test_the_installed_system_gives_up_in_the_end(machine: Machine):
    with reports_answered_with(503) as server:
        ended = machine.runs_text(ready_script(machine, server))

    assert (ended.returncode, server.events) == (1, ["ready"] * 60)
