"""Rescues and wipes from outside: from the command to the machine's script, and none in a loop."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.files import SETTINGS, write_boot_files, write_files
from fixtures.rack import BASE, Machine, Rack, running, token_in
from scapy.layers.dhcp import BOOTP

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
OLD1 = ("52:54:00:aa:bb:41", "192.0.2.61")
HARDWARE = "firmware uefi\ndisk sda\nnic eno1\nmac 52:54:00:aa:bb:41\n"
DECLARED = ("role=worker", f"mac={OLD1[0]}", "disk.serial=S1", "boot_media=ol8u10-x86_64")


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    """An appliance whose hosts are declared by a person and by commands."""
    directory = write_files(tmp_path, settings=SETTINGS.replace("[hosts.yaml]", "[hosts.yaml, hosts.d]"))
    (directory / "hosts.d").mkdir()
    write_boot_files(directory / "boot")
    with running(directory) as started:
        yield started


def found(rack: Rack, *command: str) -> Any:
    return json.loads(rack.netboot(*command, "--json"))


def retired(rack: Rack) -> Machine:
    """A machine that was a host, whose disk is to be wiped at its next boot."""
    rack.netboot("host", "add", "old1", *DECLARED)
    machine = rack.machine(*OLD1)
    machine.boots()
    rack.netboot("host", "retire", "old1", "--yes-wipe", "old1")
    return machine


def wipe_of(rack: Rack, machine: Machine) -> Any:
    (listed,) = (each for each in found(rack, "host", "list", "--discovered") if each["mac"] == machine.mac)
    return listed["inspection"]["wipe"]


def is_local(script: str) -> bool:
    return "boots its own disk" in script


def test_a_host_is_rescued_once_and_shown_as_such(rack: Rack):
    cp1 = rack.machine(*CP1)
    requested = rack.netboot("host", "rescue", "cp1")
    unarmable = rack.run("install", "arm", "cp1", "--force")
    shown = [rack.netboot(*command, "cp1") for command in (("install", "show"), ("host", "show"), ("explain",))]
    listed = rack.netboot("host", "list")
    views = [found(rack, *command, "cp1")["next_boot"] for command in (("install", "show"), ("host", "show"))]
    rack.stop()
    rack.start()
    offered = cp1.discover()[BOOTP].file
    cp1.boots()
    script = cp1.script()
    again = cp1.script()
    cp1.boots()
    after = cp1.script()
    watched = rack.netboot("install", "watch", "cp1", "--no-follow")
    armed = rack.run("install", "arm", "cp1", "--force")
    refused = rack.run("host", "rescue", "cp1")

    assert requested == "cp1 boots the rescue mode of ol8u10-x86_64 at its next network boot\n"
    assert unarmable.returncode == 1
    assert "its rescue is requested, and an install would wipe the disk; netboot host rescue cp1 --cancel first" in (
        unarmable.stderr
    )
    assert all("rescue of ol8u10-x86_64 requested" in text for text in (*shown, listed))
    assert "offer to UEFI x64, PXE: loader snponly.efi" in shown[2]
    assert [(view["kind"], view["medium"]) for view in views] == [("rescue", "ol8u10-x86_64")] * 2
    assert offered.startswith(b"snponly.efi\0")
    assert script == again
    assert f"kernel {BASE}/content/ol8u10-x86_64/vmlinuz" in script
    assert f"inst.stage2={BASE}/content/ol8u10-x86_64 inst.rescue inst.text" in script
    assert "inst.ks" not in script
    assert "boots the rescue mode of ol8u10-x86_64, once" in script
    assert is_local(after)
    assert "once" in watched
    assert "cp1 boots the rescue mode, with ol8u10-x86_64" in watched
    assert armed.returncode == 0
    assert refused.returncode == 1
    assert "cannot rescue cp1: it is armed" in refused.stderr


def test_a_rescue_is_cancelled_before_the_boot(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("host", "rescue", "cp1")
    cancelled = rack.netboot("host", "rescue", "cp1", "--cancel")
    cp1.boots()

    assert cancelled == "cp1 boots no rescue\n"
    assert cp1.discover()[BOOTP].file.rstrip(b"\0") == b""
    assert is_local(cp1.script())


def test_a_retired_machine_wipes_its_disk_once(rack: Rack):
    machine = retired(rack)
    requested = wipe_of(rack, machine)
    offered = machine.discover()[BOOTP].file
    machine.boots()
    script = machine.script()
    token = token_in(script, "inspect")
    kickstart = machine.get(f"/inspect/{token}")
    begun = wipe_of(rack, machine)["state"]
    reports = [machine.report(token, "wiping", HARDWARE), machine.report(token, "wiped", "sda (/dev/sda), 480 GB")]
    spent = machine.report(token, "wiping", HARDWARE)
    machine.boots()
    after = machine.script()
    done = wipe_of(rack, machine)
    listed = rack.netboot("host", "list", "--discovered")

    assert (requested["host"], requested["state"], requested["disk"]["serial"]) == ("old1", "requested", "S1")
    assert offered.startswith(b"snponly.efi\0")
    assert "this machine was old1" in script
    assert "its disk is wiped" in script
    assert kickstart.status == 200
    assert 'must wipefs --all "/dev/$name"' in kickstart.body
    assert (begun, reports, spent) == ("begun", [200, 200], 404)
    assert "inst.ks" not in after
    assert (done["state"], done["note"]) == ("done", "sda (/dev/sda), 480 GB")
    assert "wipe of old1 done" in listed
    assert "boot.machine_wiped" in rack.log


def test_a_machine_that_is_registered_again_is_not_wiped(rack: Rack):
    machine = retired(rack)
    rack.netboot("host", "add", "new1", *DECLARED)
    machine.boots()
    script = machine.script()
    rack.netboot("host", "remove", "new1")
    machine.boots()
    afterwards = machine.script()

    assert is_local(script)
    assert "inst.ks" not in afterwards
    assert wipe_of(rack, machine)["state"] == "cancelled"
    assert wipe_of(rack, machine)["note"] == "its machine was registered again"


def test_a_machine_that_is_registered_after_its_script_is_not_wiped(rack: Rack):
    machine = retired(rack)
    machine.boots()
    token = token_in(machine.script(), "inspect")
    rack.netboot("host", "add", "new1", *DECLARED)

    assert machine.get(f"/inspect/{token}").status == 404
    assert machine.report(token, "wiping", HARDWARE) == 404
    assert is_local(machine.script())


def test_a_machine_whose_card_is_a_hosts_is_not_allowed_to_write(rack: Rack):
    machine = retired(rack)
    machine.boots()
    token = token_in(machine.script(), "inspect")
    path = f"/report/{token}/wiping"
    refused = machine.get(path, "-X", "POST", "--data-binary", f"{HARDWARE}nic eno2\nmac {CP1[0]}\n")

    assert (refused.status, refused.body) == (409, f"its machine is registered as cp1 ({CP1[0]})\n")
    assert wipe_of(rack, machine)["state"] == "cancelled"


def test_no_wipe_begins_while_a_hosts_file_has_a_fault(rack: Rack):
    machine = retired(rack)
    faulty = rack.directory / "hosts.d" / "faulty.yaml"
    faulty.write_text("hosts: {x: {rol: worker}}\n")
    reloaded = rack.run("reload")
    machine.boots()
    refused = machine.script()
    faulty.unlink()
    rack.netboot("reload")
    machine.boots()
    served = machine.script()

    assert reloaded.returncode == 2
    assert "inst.ks" not in refused
    assert token_in(served, "inspect")


def test_no_wipe_begins_while_the_settings_have_a_fault_so_that_a_registration_is_not_in_force(rack: Rack):
    machine = retired(rack)
    settings = rack.config.read_text()
    rack.config.write_text(settings + "nonsense: 1\n")
    hosts = rack.directory / "hosts.yaml"
    registered = f"{hosts.read_text()}  new1: {{role: worker, mac: {OLD1[0]}}}\n"
    hosts.write_text(registered)
    reloaded = rack.run("reload")
    machine.boots()
    refused = machine.script()
    rack.config.write_text(settings)
    rack.netboot("reload")
    machine.boots()

    assert reloaded.returncode == 2
    assert "inst.ks" not in refused
    assert is_local(machine.script())
    assert [line["reason"] for line in rack.lines("boot.wipe_refused")] == ["its machine was registered again"]


def test_a_wipe_is_cancelled_and_confirmed_by_name_only(rack: Rack):
    rack.netboot("host", "add", "old1", *DECLARED)
    unconfirmed = rack.run("host", "retire", "old1", "--wipe", "--yes")
    wrong = rack.run("host", "retire", "old1", "--yes-wipe", "cp1")
    still = rack.netboot("host", "show", "old1")
    rack.netboot("host", "retire", "old1", "--yes-wipe", "old1")
    cancelled = rack.netboot("host", "retire", "old1", "--cancel-wipe")
    again = rack.run("host", "retire", "old1", "--cancel-wipe")

    assert unconfirmed.returncode == 2
    assert "--yes does not confirm a wipe; use --yes-wipe old1" in unconfirmed.stderr
    assert wrong.returncode == 1
    assert "'cp1' is not old1; nothing was changed" in wrong.stderr
    assert "old1" in still
    assert cancelled == "the wipe of old1 is cancelled: an operator cancelled it\n"
    assert again.returncode == 1
    assert "no wipe of old1 is open" in again.stderr
