"""Inspections from outside: from the DISCOVER of a machine to its reported hardware, and none in a loop."""

import json
from pathlib import Path

import pytest
from fixtures.files import SETTINGS, write_boot_files, write_files
from fixtures.rack import BASE, Rack, running, token_in
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

UNREGISTERED = ("52:54:00:99:99:99", "192.0.2.60")
CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
REPORT = """\
firmware uefi
secure_boot 1
memory_kib 65536000
disk sda
size_bytes 480000000000
read_only 0
removable 0
by_id /dev/disk/by-id/ata-other
nic eno1
mac 52:54:00:99:99:99
"""


@pytest.fixture
def inspecting(tmp_path: Path) -> Path:
    """The files of an appliance that inspects unregistered machines."""
    settings = SETTINGS.replace("[hosts.yaml]", "[hosts.yaml], unknown: inspect, inspect_media: ol8u10-x86_64")
    directory = write_files(tmp_path, settings=settings)
    write_boot_files(directory / "boot")
    return directory


def test_an_unregistered_machine_is_inspected_once_and_then_waits(inspecting: Path):
    with running(inspecting) as rack:
        machine, other = rack.machine(*UNREGISTERED), rack.machine("52:54:00:99:99:98", "192.0.2.61")
        other.boots()
        assert machine.discover()[BOOTP].file.startswith(b"snponly.efi\0")
        machine.boots()
        script = machine.script()
        token = token_in(script, "inspect")
        kickstart = machine.get(f"/inspect/{token}")
        foreign = other.get(f"/inspect/{token}").status
        reported = [machine.report(token, "inspected", REPORT) for _ in range(2)]
        machine.boots()
        waits = machine.script()
        found = next(
            each
            for each in json.loads(rack.netboot("host", "list", "--discovered", "--json"))
            if each["mac"] == machine.mac
        )
        rack.stop()
        rack.start()
        machine.boots()
        waits_still = machine.script()

    assert f"{BASE}/content/ol8u10-x86_64/vmlinuz" in script
    assert f"{BASE}/report/{token}/inspected" not in script
    assert kickstart.status == 200
    assert f"{BASE}/report/{token}" in kickstart.body
    assert (foreign, reported) == (403, [200, 404])
    assert "this machine is not registered" in waits
    assert "this machine is not registered" in waits_still
    inspection = found["inspection"]
    assert (inspection["medium"], inspection["requested_at"]) == ("ol8u10-x86_64", None)
    assert inspection["hardware"]["secure_boot"] is True
    assert [disk["name"] for disk in inspection["hardware"]["disks"]] == ["sda"]
    assert token not in json.dumps(found)


def test_an_inspected_machine_is_approved_with_all_its_cards_and_a_disk_that_it_has(inspecting: Path):
    config = inspecting / "netboot.yaml"
    config.write_text(config.read_text().replace("[hosts.yaml]", "[hosts.yaml, hosts.d]"))
    (inspecting / "hosts.d").mkdir()
    approve = ("host", "approve", UNREGISTERED[0], "--role", "worker", "--disk")
    with running(inspecting) as rack:
        machine, second = rack.machine(*UNREGISTERED), rack.machine("52:54:00:99:99:98", "192.0.2.61")
        machine.discover()
        machine.boots()
        report = f"{REPORT}nic eno2\nmac {second.mac}\nnic usb0\nmac 02:00:00:00:00:01\ndriver cdc_ether\n"
        assert machine.report(token_in(machine.script(), "inspect"), "inspected", report) == 200
        refused = rack.run(*approve, "/dev/sdb")
        shown = rack.netboot(*approve, "{min_size: 400GB}")
        rack.netboot("install", "arm", "worker-1")
        second.boots()
        held = second.script()  # it was inspected from another card
        rack.netboot("install", "confirm", "worker-1")
        second.boots()
        script = second.script()

    assert "worker-1 waits until a person confirms" in held
    assert (
        f"cannot approve {machine.mac}: no disk fits hosts.worker-1.disk (/dev/sdb) among the disks" in refused.stderr
    )
    assert "    disk sda, 480 GB" in shown
    assert f"cards of the host {machine.mac}, {second.mac}\n" in shown
    assert f"{BASE}/content/ol8u10-x86_64/vmlinuz" in script


def test_a_host_is_inspected_at_its_request_and_its_disk_is_compared_before_it_is_armed(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    refused = rack.run("host", "inspect", "cp1")
    rack.netboot("install", "cancel", "cp1")
    requested = rack.netboot("host", "inspect", "cp1")
    assert cp1.discover()[BOOTP].file.startswith(b"snponly.efi\0")
    cp1.boots()
    token = token_in(cp1.script(), "inspect")
    reported = cp1.report(token, "inspected", REPORT)
    cp1.boots()
    script = cp1.script()
    shown = rack.netboot("host", "show", "cp1")
    unready = rack.run("install", "arm", "cp1")
    forced = rack.run("install", "arm", "cp1", "--force")

    assert refused.returncode == 1
    assert "cp1 is armed, and an armed host is installed at its next boot" in refused.stderr
    assert requested.startswith("cp1 is inspected at its next network boot with ol8u10-x86_64")
    assert reported == 200
    assert "exit 1" in script
    assert "disk sda, 480 GB" in shown
    assert "reported by the machine, unverified: uefi, Secure Boot on, 62.5 GiB memory" in shown
    assert unready.returncode == 1
    assert "cannot arm cp1: no disk fits hosts.cp1.disk (" in unready.stderr
    assert "among the disks of its last inspection (sda)" in unready.stderr
    assert forced.returncode == 0


def test_arming_a_host_ends_the_request_of_its_inspection(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("host", "inspect", CP1[0])
    rack.netboot("install", "arm", "cp1")
    rack.netboot("install", "cancel", "cp1")
    cp1.boots()

    assert cp1.discover()[BOOTP].file.rstrip(b"\0") == b""
    assert "exit 1" in cp1.script()


@pytest.mark.parametrize(
    ("machine", "error"),
    [
        ("w9", "no host is called w9"),
        ("52:54:00:99:99:97", "no machine with MAC 52:54:00:99:99:97 requested a boot"),
        ("52:54:00:99:99:99", "no boot medium is named for it; set hosts.inspect_media"),
        ("52:54:00:99:99:99", "unregistered machines get no reply; set hosts.unknown: wait, or inspect"),
    ],
)
def test_a_machine_that_cannot_be_inspected_is_refused_with_every_reason(rack: Rack, machine: str, error: str):
    rack.machine(*UNREGISTERED).discover()

    refused = rack.run("host", "inspect", machine)

    assert refused.returncode == 1
    assert error in refused.stderr
