"""The Kickstart of an inspection: it names no disk to write, and its script reports a machine to a real server."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion
from render.test_kickstart_scripts import HDD, NVME, OTHERS, REPORT, SSD, FakeDisk, reports_answered_with

from netboot.model.host.disk_rule import DiskChoice, DiskRule
from netboot.model.host.hardware import Hardware, InspectedCard, hardware_in
from netboot.model.host.mac import Mac
from netboot.render.kickstart import inspection
from netboot.render.template_engine import Engine

pytestmark = pytest.mark.integration

MAC = Mac("52:54:00:aa:bb:99")
EFIVARS = "sys/firmware/efi/efivars"
GUID = "8be4df61-93ca-11d2-aa0d-00e098032b8c"


def document(engine: Engine, base_url: str) -> str:
    return inspection(engine, MAC, mac=MAC, base_url=base_url, token=REPORT)


@dataclass
class Box:
    """A directory with the /sys and /proc of a machine, and programs that restart nothing."""

    engine: Engine
    home: Path
    shell: str
    calls: list[str] = field(default_factory=list)

    def has(self, files: dict[str, str]) -> None:
        for path, content in files.items():
            file = self.home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode("latin-1"))

    def has_disks(self, *disks: FakeDisk) -> None:
        for disk in disks:
            self.has({f"sys/block/{disk.name}/{path}": f"{value}\n" for path, value in disk.attributes.items()})
            self.has({f"udev-{disk.name}": "".join(f"{k}={v}\n" for k, v in disk.udev.items())})

    def has_card(self, name: str, driver: str, **attributes: str) -> None:
        self.has({f"sys/class/net/{name}/{path}": f"{value}\n" for path, value in attributes.items()})
        (self.home / f"sys/class/net/{name}/device").mkdir()
        (self.home / f"sys/class/net/{name}/device/driver").symlink_to(f"../../../bus/pci/drivers/{driver}")

    def is_inspected(self, *statuses: int) -> list[Hardware]:
        """Run the script with a server that answers with these statuses; return what was reported."""
        with reports_answered_with(*statuses) as server:
            found = re.search(r"^%pre\b.*\n((?:.*\n)*?)%end$", document(self.engine, server.url), re.MULTILINE)
            assert found
            script = re.sub(r"(?<![\w/])/(sys|proc)/", rf"{self.home}/\1/", found[1])
            ended = subprocess.run(
                [self.shell, "-s"],
                check=False, input=script, capture_output=True, text=True, timeout=60,
                env={"PATH": f"{self.home}/bin:{os.environ['PATH']}", "LC_ALL": "C"},
            )  # fmt: skip
        assert ended.returncode == 0
        assert "the machine restarts" in ended.stderr
        assert (self.home / "calls").read_text().splitlines()[-2:] == ["reboot --force --force", "sleep infinity"]
        assert set(server.events) == {"inspected"}
        return [hardware_in(body.decode()) for _, body in server.reports]


@pytest.fixture(params=["bash", "dash"])
def box(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Box:
    box = Box(engine, tmp_path, request.param)
    for name in ("sleep", "reboot"):
        box.has({f"bin/{name}": f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/calls"\n'})
    box.has({"bin/udevadm": f'#!/bin/sh\n[ "$1" = settle ] || cat "{tmp_path}/udev-${{3##*/}}"\n'})
    for stub in (tmp_path / "bin").iterdir():
        stub.chmod(0o755)
    box.has({"proc/meminfo": "MemTotal:       65536000 kB\nMemFree: 1 kB\n"})
    box.has({"proc/cpuinfo": "processor\t: 0\nmodel name\t: Xeon 6338\nprocessor\t: 1\nmodel name\t: Xeon 6338\n"})
    return box


def test_a_uefi_machine_is_reported(box: Box):
    box.has(
        {f"{EFIVARS}/SecureBoot-{GUID}": "\x06\0\0\0\x01", f"{EFIVARS}/SetupMode-{GUID}": "\x06\0\0\0\0"}
        | {"sys/class/net/lo/address": "00:00:00:00:00:00\n"}
    )
    box.has_card("eno1", "ixgbe", address="52:54:00:aa:bb:99", carrier="1", speed="10000")
    box.has_card("eno2", "ixgbe", address="52:54:00:aa:bb:98")
    links = "DEVLINKS", "/dev/disk/by-path/pci-1 /dev/disk/by-id/ata-1 /dev/disk/by-uuid/1"
    box.has_disks(FakeDisk("sda", udev={**SSD.udev, links[0]: links[1]}), *OTHERS)

    (found,) = box.is_inspected(200)

    assert (found.firmware, found.secure_boot, found.setup_mode) == ("uefi", True, False)
    assert (found.memory_kib, found.cpu, found.cpus) == (65_536_000, "Xeon 6338", 2)
    assert found.cards == (
        InspectedCard("eno1", "52:54:00:aa:bb:99", "ixgbe", True, 10_000),
        InspectedCard("eno2", "52:54:00:aa:bb:98", "ixgbe"),
    )
    sda = found.disks[0]
    assert [disk.name for disk in found.disks] == ["sda", "sdc", "sdd", "sde"]
    assert (sda.size_bytes, sda.rotational, sda.removable, sda.read_only) == (480_000_000_000, False, False, False)
    assert (sda.serials, sda.model) == (("S3Z8NB0K", "SAMSUNG_MZ_S3Z8NB0K"), "SAMSUNG_MZ7LH")
    assert (sda.by_path, sda.by_id) == (("/dev/disk/by-path/pci-1",), ("/dev/disk/by-id/ata-1",))


def test_many_disks_cut_no_card_from_the_report(box: Box):
    box.has_card("eno1", "ixgbe", address="52:54:00:aa:bb:99")
    links = " ".join(f"/dev/disk/by-id/wwn-{number:060}" for number in range(1000))
    box.has_disks(FakeDisk("sda", udev={**SSD.udev, "DEVLINKS": links}))

    (found,) = box.is_inspected(200)

    assert found.cards == (InspectedCard("eno1", "52:54:00:aa:bb:99", "ixgbe"),)
    assert [disk.name for disk in found.disks] == ["sda"]


def test_a_machine_without_anything_is_reported_and_restarts(box: Box):
    assert box.is_inspected(200) == [Hardware("bios", memory_kib=65_536_000, cpu="Xeon 6338", cpus=2)]


@pytest.mark.parametrize(
    ("statuses", "reports"), [((503, 500, 200), 3), ((404,), 1), ((403,), 1), ((503,), 20)], ids=str
)
def test_a_report_is_repeated_and_the_machine_restarts_whatever_the_server_answers(
    box: Box, statuses: tuple[int, ...], reports: int
):
    assert len(box.is_inspected(*statuses)) == reports


RULES = [
    DiskRule(serial="S3Z8NB0K"),
    DiskRule(serial="SAMSUNG MZ_S3Z8NB0K"),
    DiskRule(serial="S3Z8"),
    DiskRule(wwn="0x5000c500a1b2c3d4"),
    DiskRule(wwn="eui.0025388b01"),
    DiskRule(model="perc h730p mini"),
    DiskRule(model="SAMSUNG"),
    DiskRule(model="ST40", rotational=False),
    DiskRule(min_bytes=500_000_000_000, max_bytes=10**12),
    DiskRule(min_bytes=10**13),
    *(DiskRule(rotational=kind, choose=choice) for kind, choice in product((True, False, None), (None, *DiskChoice))),
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_decides_about_inspected_disks_as_the_installers_script_does(
    rule: DiskRule, box: Box, engine: Engine, tmp_path: Path
):
    disks = (SSD, NVME, HDD, FakeDisk("sdf", HDD.size_bytes, rotational=1), *OTHERS)
    box.has_disks(*disks)
    wanted = engine.render(
        "kickstart/disk_rule.ks.j2", subject="x", context={"rule": rule, "wanted": rule.wanted} | HOST
    )
    script = f'{wanted}\n[ -z "$problem" ] || {{ echo "$problem" >&2; exit 1; }}'.replace("/sys/", f"{tmp_path}/sys/")
    chosen = subprocess.run(
        [box.shell, "-s"],
        check=False, input=script.replace("/tmp/netboot-disk.ks", "/dev/stdout"), capture_output=True, text=True,
        timeout=60, env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "LC_ALL": "C"},
    )  # fmt: skip
    (found,) = box.is_inspected(200)

    problem = rule.problem_with(found.disks)

    assert (problem is None) == (chosen.returncode == 0)
    if problem is not None:
        assert problem.partition(" fit")[0].split(" and ")[0] in chosen.stderr
    elif rule.choose is None:
        (only,) = filter(rule.matches, found.disks)
        assert chosen.stdout == f"ignoredisk --only-use={only.name}\n"


class _Named:
    name = "cp1"


HOST = {"host": _Named()}


@pytest.mark.parametrize("version", ["RHEL8", "RHEL9", "RHEL10"])
def test_ksvalidator_accepts_the_kickstart_and_no_command_writes_a_disk(
    version: str, engine: Engine, base_url: str, tmp_path: Path, tool: Callable[[str], str]
):
    file = tmp_path / "inspect.ks"
    file.write_text(document(engine, base_url))
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
    golden("inspect.ks", document(engine, base_url))
