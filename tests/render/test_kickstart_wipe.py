"""The Kickstart of a wipe: it erases one disk, after the server allowed it, and never another."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.kickstart_machine import REPORT, FakeDisk, Machine, ReportServer, reports_answered_with
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.hardware import hardware_in
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.wipe import Wipe, WipeState
from netboot.render.kickstart import wiping
from netboot.render.template_engine import Engine

pytestmark = pytest.mark.integration

MAC = Mac("52:54:00:aa:bb:01")
EDGE = 16 * 1024**2
SIZE = 3 * EDGE + 512 * 7  # no multiple of 1 MiB
SDA = FakeDisk("sda", size_bytes=SIZE, udev={"ID_SERIAL_SHORT": "S1"}, partitions=2)
SDB = FakeDisk("sdb", size_bytes=SIZE, udev={"ID_SERIAL_SHORT": "S2"}, partitions=2)
DATA = b"data"
RULE = DiskRule(serial="s1")


def document(engine: Engine, base_url: str, disk: str | DiskRule = RULE) -> str:
    wipe = Wipe(HostName("old1"), (MAC,), disk, WipeState.BEGUN, datetime(2026, 11, 21, tzinfo=UTC))
    return wiping(engine, wipe, mac=MAC, base_url=base_url, token=REPORT)


@pytest.fixture(params=["bash", "dash"])
def machine(request: pytest.FixtureRequest, engine: Engine, cp1: Host, tmp_path: Path) -> Machine:
    """A machine with two disks full of data, whose tools write no disk of this computer."""
    machine = Machine(engine, cp1, request.param, tmp_path)
    for name in ("dd", "uname"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    for name in ("reboot", "blkdiscard"):
        machine.has_tool(name, f'echo "{name} $*" >>{tmp_path}/done')
    machine.write("proc/cpuinfo", "processor\t: 0\n")
    machine.has_disks(SDA, SDB)
    for disk in (SDA, SDB):
        (tmp_path / "dev" / disk.name).write_bytes(DATA * (SIZE // len(DATA)))
    return machine


def wiped(machine: Machine, *statuses: int, disk: str | DiskRule = RULE) -> tuple[ReportServer, str]:
    """Run %pre against a server that answers with these statuses; return what it received, and the console."""
    with reports_answered_with(*statuses) as server:
        body = re.search(r"^%pre\b.*\n((?:.*\n)*?)%end$", document(machine.engine, server.url, disk), re.MULTILINE)
        assert body
        text = body[1].replace("/tmp/", f"{machine.home}/")
        for path in ("/sys/block/", "/sys/class/net/", "/sys/firmware/", "/proc/"):
            text = text.replace(path, f"{machine.home}{path}")
        ended = machine.runs_text(text.replace('"/dev/$', f'"{machine.home}/dev/$'))
    assert ended.returncode == 1, ended.stderr
    assert machine.done[-1] == "reboot --force --force"
    return server, ended.stderr


def content(machine: Machine, disk: FakeDisk) -> bytes:
    return (machine.home / "dev" / disk.name).read_bytes()


def is_untouched(machine: Machine, disk: FakeDisk) -> bool:
    return content(machine, disk) == DATA * (SIZE // len(DATA))


def test_the_disk_loses_its_signatures_and_both_ends_and_the_other_is_not_touched(machine: Machine):
    server, console = wiped(machine, 200)

    assert server.events == ["wiping", "wiped"]
    assert [disk.name for disk in hardware_in(server.reports[0][1].decode()).disks] == ["sda", "sdb"]
    assert server.reports[1][1].decode().startswith("sda (")
    assert machine.done == [
        "wipefs --all /dev/sda1",
        "wipefs --all /dev/sda2",
        "wipefs --all /dev/sda",
        "blkdiscard /dev/sda",
        "wipefs --noheadings /dev/sda",
        "reboot --force --force",
    ]
    found = content(machine, SDA)
    assert len(found) == SIZE
    assert found[:EDGE] == found[-EDGE:] == bytes(EDGE)
    assert found[EDGE : EDGE + 4] == DATA
    assert is_untouched(machine, SDB)
    assert "sda was wiped; the machine restarts" in console


def test_a_small_disk_is_zeroed_once_as_a_whole(machine: Machine):
    machine.write("sys/block/sda/size", "4096\n")
    (machine.home / "dev/sda").write_bytes(DATA * (4096 * 512 // len(DATA)))

    server, _ = wiped(machine, 200)

    assert server.events == ["wiping", "wiped"]
    assert content(machine, SDA) == bytes(4096 * 512)


@pytest.mark.parametrize("statuses", [(409,), (403,), (404,), (503,)], ids=str)
def test_without_permission_nothing_is_written_and_the_machine_restarts(machine: Machine, statuses: tuple[int, ...]):
    server, console = wiped(machine, *statuses)

    assert set(server.events) == {"wiping"}
    assert len(server.events) == (20 if statuses == (503,) else 1)
    assert f"the server does not allow the wipe (HTTP status {statuses[0]}" in console
    assert is_untouched(machine, SDA)
    assert machine.done == ["reboot --force --force"]


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        pytest.param(DiskRule(serial="s9"), "no disk fits hosts.old1.disk (serial s9)", id="none"),
        pytest.param(DiskRule(rotational=False), "sda and sdb both fit hosts.old1.disk (not rotational)", id="two"),
        pytest.param("/dev/disk/by-path/pci-9", "/dev/disk/by-path/pci-9, the disk of old1, is not there", id="path"),
    ],
)
def test_a_disk_that_is_not_exactly_one_is_refused(machine: Machine, disk: str | DiskRule, reason: str):
    server, _ = wiped(machine, 200, disk=disk)

    assert server.events == ["wipe-refused"]
    assert server.reports[0][1].decode().startswith(reason)
    assert is_untouched(machine, SDA)
    assert is_untouched(machine, SDB)
    assert machine.done == ["reboot --force --force"]


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        pytest.param(
            lambda machine: machine.has_signature("sda2", "LVM2_member"),
            "sda belongs to a group: sda2 is a LVM2_member\n",
            id="signature",
        ),
        pytest.param(
            lambda machine: machine.has_user("md127", "sda/sda1", "sdb/sdb1"),
            "sda belongs to a group: it is used by the array md127\n",
            id="array",
        ),
        pytest.param(
            lambda machine: machine.write("proc/swaps", f"Filename\n{machine.home}/dev/sda1 partition\n"),
            "sda is in use: sda1 is swap\n",
            id="in-use",
        ),
        pytest.param(
            lambda machine: [machine.write(f"sys/block/{name}/device/wwid", "naa.5000\n") for name in ("sda", "sdb")],
            "sda is reached by several paths: sdb has the same world-wide name",
            id="multipath",
        ),
    ],
)
def test_a_member_is_refused_also_if_its_installer_was_permitted_to_release_it(
    machine: Machine, use: Callable[[Machine], object], reason: str
):
    use(machine)

    server, _ = wiped(machine, 200)

    assert server.events == ["wipe-refused"]
    assert server.reports[0][1].decode().startswith(reason)
    assert is_untouched(machine, SDA)


def test_a_step_that_fails_ends_the_wipe_with_its_message(machine: Machine):
    machine.has_tool("wipefs", "echo 'wipefs: error: /dev/sda1: Device or resource busy' >&2; exit 1")

    server, _ = wiped(machine, 200)

    assert server.events == ["wiping", "wipe-refused"]
    assert server.reports[1][1].decode() == "sda: wipefs failed: wipefs: error: /dev/sda1: Device or resource busy\n"
    assert is_untouched(machine, SDA)


def test_a_signature_that_is_left_is_reported(machine: Machine):
    machine.has_tool("wipefs", '[ "$1" = --all ] || echo "0x0 gpt"')

    server, _ = wiped(machine, 200)

    assert server.events == ["wiping", "wipe-refused"]
    assert server.reports[1][1].decode() == "sda still has a signature after its wipe\n"


def test_an_installer_without_the_tool_refuses(machine: Machine):
    machine.lacks("wipefs")

    server, _ = wiped(machine, 200)

    assert server.reports[0][1].decode() == "this installer has no wipefs\n"
    assert server.events == ["wipe-refused"]


@pytest.mark.parametrize("disk", [RULE, "/dev/disk/by-path/pci-1'; rm -rf /"], ids=["rule", "path"])
@pytest.mark.parametrize("version", ["RHEL8", "RHEL9", "RHEL10"])
def test_ksvalidator_accepts_the_kickstart_and_no_command_outside_of_its_script_writes_a_disk(
    version: str, disk: str | DiskRule, engine: Engine, base_url: str, tmp_path: Path, tool: Callable[[str], str]
):
    file = tmp_path / "wipe.ks"
    file.write_text(document(engine, base_url, disk))
    judged = subprocess.run(
        [tool("ksvalidator"), "--version", version, "--firsterror", str(file)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    parser = KickstartParser(makeVersion(version))
    parser.readKickstartFromString(file.read_text())
    commands = re.sub(r"(?m)^(#.*|%pre(?:.*\n)*?%end)$", "", file.read_text())

    assert (judged.returncode, judged.stderr) == (0, "")
    assert commands.split() == ["text", "lang", "en_US.UTF-8", "keyboard", "us"]
    assert len(parser.handler.scripts) == 1


def test_the_kickstart_is_recorded(engine: Engine, base_url: str, golden: Callable[[str, str], None]):
    golden("wipe.ks", document(engine, base_url))
