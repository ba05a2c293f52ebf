"""The facts of this computer: its versions, the space for what is stored, and its interfaces, those for boots first."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.lan import a_lan
from netns import inside

from netboot import __version__
from netboot.app.administration.facts_here import check_command, facts_here
from netboot.operate.appliance.appliance_facts import ApplianceFacts, InterfaceFacts
from netboot.registry.load import read

TEXT = """\
hosts: {{files: []}}
network: {{interfaces: [s0, gone0]}}
content: {{directory: {0}/content}}
records: {{directory: {0}/none/records}}
store: {{url: 'sqlite+aiosqlite:///{0}/store/netboot.db'}}
"""


def facts(directory: Path, text: str = TEXT) -> ApplianceFacts:
    (directory / "netboot.yaml").write_text(text.format(directory))
    return asyncio.run(facts_here(read(directory / "netboot.yaml").settings))


def test_a_disk_has_the_space_of_its_directory_or_of_the_nearest_one_above(tmp_path: Path):
    found = facts(tmp_path)

    space = os.statvfs(tmp_path)
    assert [(disk.holds, disk.path, disk.problem) for disk in found.disks] == [
        ("content", tmp_path / "content", None),
        ("records of boots", tmp_path / "none/records", None),
        ("store", tmp_path / "store", None),
    ]
    assert {disk.total_bytes for disk in found.disks} == {space.f_blocks * space.f_frsize}
    assert all(0 < disk.free_bytes <= disk.total_bytes for disk in found.disks)


def test_a_store_of_postgresql_has_no_disk_here(tmp_path: Path):
    text = TEXT.replace("sqlite+aiosqlite:///{0}/store/netboot.db", "postgresql+asyncpg://db.example.org/netboot")

    assert [disk.holds for disk in facts(tmp_path, text).disks] == ["content", "records of boots"]


def test_a_disk_that_cannot_be_read_has_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(_directory: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("shutil.disk_usage", fails)

    assert [(disk.problem, disk.total_bytes) for disk in facts(tmp_path).disks] == [
        ("cannot be read: Input/output error", 0)
    ] * 3


def test_interfaces_for_boots_are_first_also_one_that_is_not_there(tmp_path: Path):
    with a_lan(("192.0.2.10/24", "192.0.2.50/24")) as lan, inside(lan.server):
        found = facts(tmp_path).interfaces

    assert [each for each in found if each.name != "lo"] == [
        InterfaceFacts("gone0", (), is_up=False, has_carrier=False, mtu_bytes=0, serves_boots=True),
        InterfaceFacts("s0", ["192.0.2.10/24"], is_up=True, has_carrier=True, mtu_bytes=1500, serves_boots=True),
    ]
    assert [each.name for each in found] == ["gone0", "s0", "lo"]


def test_the_versions_are_those_of_what_runs(tmp_path: Path):
    names = 'import platform,sqlite3; print(platform.python_version(), sqlite3.sqlite_version, sep="\\n")'
    python, sqlite = subprocess.run(
        [sys.executable, "-c", names], check=True, capture_output=True, text=True, timeout=30
    ).stdout.split()
    distribution = subprocess.run(
        ["sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"'], check=True, capture_output=True, text=True, timeout=30
    )

    assert facts(tmp_path).versions == {
        "netboot": __version__,
        "Python": python,
        "SQLite": sqlite,
        "kernel": os.uname().release,
        "distribution": distribution.stdout.strip(),
    }


def test_the_appliance_is_checked_by_a_command_of_this_installation_at_low_priority(tmp_path: Path):
    (tmp_path / "netboot.yaml").write_text("hosts: {files: []}\nport: 1\n")

    done = subprocess.run(check_command(tmp_path / "netboot.yaml"), check=False, capture_output=True, timeout=60)

    assert (done.returncode, b"port" in done.stdout + done.stderr) == (2, True)
