"""What the Kickstart's scripts do on a machine: run by a real shell, with real curl, against a server on loopback."""

import json
import stat
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from fixtures.kickstart_machine import REPORT, FakeDisk, Machine, ReportServer, reports_answered_with

from netboot.model.host.disk_rule import DiskChoice, DiskRule
from netboot.model.host.host import Host
from netboot.render.ignition import overlay
from netboot.render.template_engine import Engine

pytestmark = pytest.mark.integration


@pytest.fixture(params=["bash", "dash"])
def machine(request: pytest.FixtureRequest, engine: Engine, cp1: Host, tmp_path: Path) -> Machine:
    return Machine(engine, cp1, request.param, tmp_path)


@pytest.fixture
def disk(machine: Machine) -> str:
    """Any block device: the scripts only look whether it is one."""
    for path in sorted(Path("/dev").iterdir()):
        if stat.S_ISBLK(path.lstat().st_mode):
            machine.has_disks(FakeDisk(path.name))
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
    with reports_answered_with(503, 503, 404, 500, 200) as server:
        ended = machine.runs("post", server)

    assert (ended.returncode, server.events) == (0, ["post", *["done"] * 4])


def test_an_end_that_nobody_acknowledges_does_not_hold_the_machine_for_ever(machine: Machine):
    with reports_answered_with(503) as server:
        ended = machine.runs("post", server)

    assert (ended.returncode, server.events) == (0, ["post", *["done"] * 120])


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
