"""What the installer verifies before it writes: each check passes, fails once, or is skipped, with what was found."""

import shutil
from dataclasses import replace
from email.utils import formatdate
from ipaddress import IPv4Address
from pathlib import Path
from time import time

import pytest
from fixtures.kickstart_machine import DMI, FakeDisk, Machine, ReportServer, reports_answered_with
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import Host, HostName
from netboot.model.host.host_network import BY_DHCP
from netboot.model.install.checks import CheckResult, failures, read_checks
from netboot.render.template_engine import Engine

pytestmark = pytest.mark.integration

SDA = FakeDisk("sda", udev={"ID_SERIAL_SHORT": "S1"}, partitions=2)
SDB = FakeDisk("sdb", udev={"ID_SERIAL_SHORT": "S2"}, partitions=2)
NOBODY = "nothing uses sda"


@pytest.fixture(params=["bash", "dash"])
def machine(request: pytest.FixtureRequest, engine: Engine, cp1: Host, tmp_path: Path) -> Machine:
    """A machine that passes every check."""
    host = replace(cp1, disk=DiskRule(serial="s1"), ntp=("192.0.2.1", "ntp.example.com"))
    machine = Machine(engine, host, request.param, tmp_path, virtual_ip=IPv4Address("192.0.2.100"))
    machine.has_disks(SDA, SDB)
    return machine


def install(machine: Machine, **changes: object) -> tuple[ReportServer, str]:
    """Run %pre against an appliance that acknowledges; return what it received, and the error output."""
    with reports_answered_with(200) as server:
        for name, value in changes.items():
            setattr(server, name, value)
        ended = machine.runs("pre", server)
    assert (ended.returncode == 0) == (server.events == ["started"])
    return server, ended.stderr


def test_a_machine_that_passes_reports_each_check_once_and_starts(machine: Machine):
    server, errors = install(machine)

    assert (server.events, len(server.checks), errors) == (["started"], 1, "")
    assert server.found == {
        "firmware": ("pass", "booted by UEFI"),
        "identity": ("pass", "UUID 4c4c4544-0042-3510-8052-b4c04f4e3332, serial 7XK1"),
        "disk": ("pass", "/dev/sda, 480 GB"),
        "members": ("pass", NOBODY),
        "memory": ("pass", "7812 MiB"),
        "clock": ("pass", server.found["clock"][1]),
        "address": ("pass", "no other machine has 192.0.2.101"),
        "gateway": ("pass", "192.0.2.1 answered"),
        "ntp": ("pass", "one of 192.0.2.1, ntp.example.com answered"),
        "vip": ("pass", "no machine has 192.0.2.100"),
        "release": ("pass", "ock-1.31-amd64, ref ock"),
    }
    assert failures(read_checks(server.checks[0]).checks) == []
    assert (machine.home / "chronyd").read_text() == (
        f"-Q -u root -t 10 pidfile {machine.home}/netboot-chronyd.pid "
        "server 192.0.2.1 iburst server ntp.example.com iburst\n"
    )
    assert machine.done == []


def test_a_machine_without_smbios_shows_no_identity_and_one_with_an_empty_serial_shows_its_uuid(machine: Machine):
    machine.write(f"{DMI}/product_serial", "\n")
    without_serial, _ = install(machine)
    shutil.rmtree(machine.home / DMI)
    without_smbios, _ = install(machine)

    found = [server.found["identity"] for server in (without_serial, without_smbios)]
    assert found == [
        ("pass", "UUID 4c4c4544-0042-3510-8052-b4c04f4e3332, serial "),
        ("skipped", "the machine has no SMBIOS"),
    ]


def test_a_held_machine_waits_on_its_console_until_a_person_confirms_it(machine: Machine):
    with reports_answered_with(423, 423, 200) as server:
        ended = machine.runs("pre", server)

    assert (ended.returncode, server.events) == (0, ["started", "started", "started"])
    assert ended.stdout.count("cp1 is held until a person confirms the machine: netboot install confirm cp1\n") == 2


def is_bios(machine: Machine) -> None:
    (machine.home / "sys/firmware/efi").rmdir()


def has_little_memory(machine: Machine) -> None:
    machine.write("proc/meminfo", "MemTotal:        1739776 kB\n")


def has_a_neighbour(machine: Machine, address: str) -> None:
    reply = f"Unicast reply from {address} [52:54:00:12:34:56]  0.71ms"
    machine.has_tool(
        "arping", f'[ "$1 $8" = "-D {address}" ] || exit 0; echo "ARPING {address}"; echo "{reply}"; exit 1'
    )


def has_its_address_used(machine: Machine) -> None:
    has_a_neighbour(machine, "192.0.2.101")


def has_the_virtual_ip_used(machine: Machine) -> None:
    has_a_neighbour(machine, "192.0.2.100")


def has_no_gateway_that_answers(machine: Machine) -> None:
    machine.has_tool("arping", '[ "$1" = -D ]')
    machine.has_tool("ping", "exit 1")


def has_no_time_server_that_answers(machine: Machine) -> None:
    lines = ("chronyd version 4.3 starting (+NTP)", "Timeout reached", "chronyd exiting")
    machine.has_tool("chronyd", "".join(f"echo '2026-11-29T08:00:00Z {line}'; " for line in lines) + "exit 1")


def is_mounted(machine: Machine) -> None:
    line = "36 22 8:2 / /mnt rw,relatime - xfs /dev/sda2 rw"
    machine.write("proc/self/mountinfo", f"22 1 0:21 / / rw - overlay overlay rw\n{line}\n")


def has_swap(machine: Machine) -> None:
    machine.write("proc/swaps", f"Filename Type Size Used Priority\n{machine.home}/dev/sda1 partition 100 0 -2\n")


def has_a_mounted_volume(machine: Machine) -> None:
    machine.has_user("dm-0", "sda/sda2", name="vg0-root", uuid="LVM-abc")
    machine.write("proc/self/mountinfo", "36 22 253:1 / /mnt rw - xfs /dev/mapper/vg0-root rw\n")


def is_in_an_array(machine: Machine) -> None:
    machine.has_signature("sda2", "linux_raid_member", "u1")
    machine.has_user("md127", "sda/sda2", "sdb/sdb2")


def is_in_an_array_that_is_stopped(machine: Machine) -> None:
    machine.has_signature("sda2", "linux_raid_member", "u1")


def is_in_a_volume_group(machine: Machine) -> None:
    machine.has_signature("sda", "LVM2_member")
    machine.has_user("dm-0", "sda", name="vg0-root", uuid="LVM-abc")


def is_in_a_multipath_map(machine: Machine) -> None:
    machine.has_user("dm-0", "sda", name="mpatha", uuid="mpath-3600")


def has_two_paths(machine: Machine) -> None:
    for disk in ("sda", "sdb"):
        machine.write(f"sys/block/{disk}/device/wwid", "naa.600508b1001c\n")


def has_no_blkid(machine: Machine) -> None:
    machine.lacks("blkid")


def has_a_disk_that_cannot_be_read(machine: Machine) -> None:
    (machine.home / "dev/sda").unlink()


RELEASES_IT = "; hosts.cp1.disk.release_members: true releases it"


@pytest.mark.parametrize(
    ("fault", "check", "reason"),
    [
        (is_bios, "firmware", "the machine booted by BIOS, and OCK boots by UEFI only: set its firmware to UEFI"),
        (
            has_little_memory,
            "memory",
            "the machine has 1699 MiB of memory, and a node needs 2 GiB (at least 1700 MiB beside the kernel's own)",
        ),
        (
            has_its_address_used,
            "address",
            "the address 192.0.2.101 is used by another machine, 52:54:00:12:34:56: change one of the two",
        ),
        (
            has_no_gateway_that_answers,
            "gateway",
            "the gateway 192.0.2.1 did not answer: check its address, the netmask and the VLAN of the switch port",
        ),
        (
            has_no_time_server_that_answers,
            "ntp",
            "no time server answered: 192.0.2.1, ntp.example.com (Timeout reached)",
        ),
        (
            has_the_virtual_ip_used,
            "vip",
            "the cluster's virtual IP 192.0.2.100 is used by another machine, 52:54:00:12:34:56: "
            "a second cluster would start with it",
        ),
        (is_mounted, "members", "sda is in use: sda2 is mounted at /mnt"),
        (has_swap, "members", "sda is in use: sda1 is swap"),
        (has_a_mounted_volume, "members", "sda is in use: dm-0 is mounted at /mnt"),
        (
            is_in_an_array,
            "members",
            f"sda belongs to a group: sda2 is a linux_raid_member, it is used by the array md127{RELEASES_IT}",
        ),
        (
            is_in_an_array_that_is_stopped,
            "members",
            f"sda belongs to a group: sda2 is a linux_raid_member{RELEASES_IT}",
        ),
        (
            is_in_a_volume_group,
            "members",
            f"sda belongs to a group: sda is a LVM2_member, it is used by the logical volume vg0-root{RELEASES_IT}",
        ),
        (
            is_in_a_multipath_map,
            "members",
            f"sda belongs to a group: it is used by the multipath map mpatha{RELEASES_IT}",
        ),
        (
            has_two_paths,
            "members",
            "sda is reached by several paths: sdb has the same world-wide name, and OCK boots from no multipath disk",
        ),
        (
            has_no_blkid,
            "members",
            "this installer has no blkid, so it cannot see whether sda belongs to an array or a volume group",
        ),
        (has_a_disk_that_cannot_be_read, "members", "sda cannot be read"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_check_that_fails_ends_the_install_and_nothing_follows(
    machine: Machine, fault: object, check: str, reason: str
):
    assert callable(fault)
    fault(machine)

    server, errors = install(machine)

    assert {name: each for name, each in server.found.items() if each[0] != "pass"} == {check: ("fail", reason)}
    assert server.events == ["failed"]
    assert server.reports[0][1].decode().splitlines()[:2] == [reason, "disks present:"]
    assert errors == f"netboot: {reason}; nothing was written\n"
    assert failures(read_checks(server.checks[0]).checks) == [reason]
    assert machine.done == []


def test_a_release_that_is_not_served_ends_the_install(machine: Machine):
    server, _ = install(machine, release_status=404)

    result, found = server.found["release"]
    assert result == "fail"
    assert found.startswith("the release ock-1.31-amd64 cannot be fetched: curl: (22) The requested URL")
    assert server.events == ["failed"]


def test_every_check_that_fails_is_reported_at_once(machine: Machine):
    is_bios(machine)
    has_little_memory(machine)
    is_mounted(machine)

    server, _ = install(machine)

    failed = [name for name, (result, _) in server.found.items() if result == "fail"]
    assert failed == ["firmware", "members", "memory"]
    reason = server.reports[0][1].decode().splitlines()[0]
    assert reason == "; ".join(server.found[name][1] for name in failed)


@pytest.mark.parametrize(("off_s", "off"), [(86_400, "s behind"), (-7_200, "s ahead of")])
def test_a_clock_that_is_wrong_ends_the_install_unless_it_may_be_set(machine: Machine, off_s: int, off: str):
    server, _ = install(machine, date=formatdate(time() + off_s, usegmt=True))
    result, found = server.found["clock"]
    assert (result, server.events) == ("fail", ["failed"])
    assert found.startswith("the clock is ")
    assert found.endswith(f"{off} the appliance's: set it in the firmware, or set install.set_clock")
    assert machine.done == []

    machine.sets_clock = True
    server, _ = install(machine, date=formatdate(time() + off_s, usegmt=True))
    result, found = server.found["clock"]
    assert (result, server.events) == ("pass", ["started"])
    assert found.endswith(f"{off} the appliance's clock; it is set before the install")
    (was_set, hardware) = machine.done
    assert abs(int(was_set.removeprefix("date -u -s @")) - (time() + off_s)) < 30
    assert hardware == "hwclock --systohc --utc"


def test_a_clock_within_five_minutes_is_not_set(machine: Machine):
    machine.sets_clock = True

    server, _ = install(machine, date=formatdate(time() + 240, usegmt=True))

    assert server.found["clock"][0] == "pass"
    assert machine.done == []


def test_a_date_that_cannot_be_read_is_no_wrong_clock(machine: Machine):
    server, _ = install(machine, date="yesterday $(reboot)")

    assert server.found["clock"] == ("skipped", "the appliance sent no date that can be read")
    assert server.events == ["started"]


def test_what_the_installer_has_no_tool_for_is_skipped_with_the_reason(machine: Machine):
    machine.lacks("arping", "chronyd", "ip")

    server, _ = install(machine)

    assert {name: found for name, (result, found) in server.found.items() if result == "skipped"} == {
        "address": "this installer has no arping",
        "gateway": "this installer has neither arping nor ping",
        "ntp": "this installer has no chronyd",
        "vip": "no probe of 192.0.2.100 is possible: no arping, or no route",
    }
    assert server.events == ["started"]


def test_a_host_by_dhcp_without_time_servers_skips_what_does_not_apply(machine: Machine):
    machine.host, machine.virtual_ip = replace(machine.host, network=BY_DHCP, ntp=()), None
    has_no_gateway_that_answers(machine)

    server, _ = install(machine)

    assert {name: found for name, (result, found) in server.found.items() if result == "skipped"} == {
        "address": "the installer has its address by DHCP",
        "gateway": "the gateway 192.0.2.1, which DHCP named, did not answer",
        "ntp": "the host has no time servers",
        "vip": "this host starts no cluster with a virtual IP",
    }
    assert server.events == ["started"]


def test_another_card_of_the_machine_does_not_hold_its_address(machine: Machine):
    has_its_address_used(machine)
    machine.write("sys/class/net/enp2s0/address", "52:54:00:12:34:56\n")

    server, _ = install(machine)

    assert server.found["address"] == ("pass", "no other machine has 192.0.2.101")


def test_a_disk_that_is_not_found_is_a_failed_check(machine: Machine):
    machine.host = replace(machine.host, disk=DiskRule(serial="other"))

    server, _ = install(machine)

    reason = "no disk fits hosts.cp1.disk (serial other)"
    assert server.found["disk"] == ("fail", reason)
    assert server.found["members"] == ("skipped", "the disk is not known")
    assert failures(read_checks(server.checks[0]).checks) == [reason]


# The server's answers


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "the server does not understand the report of the checks (HTTP 400); netboot check"),
        (409, "the server does not allow this install (HTTP 409); netboot install show cp1"),
        (404, "the server does not allow this install (HTTP 404); netboot install show cp1"),
    ],
)
def test_checks_that_the_server_does_not_accept_end_the_install_though_all_passed(
    machine: Machine, status: int, reason: str
):
    server, errors = install(machine, checks_statuses=[status])

    assert (server.events, errors) == (["failed"], f"netboot: {reason}; nothing was written\n")


def test_checks_are_reported_until_they_are_acknowledged(machine: Machine):
    server, _ = install(machine, checks_statuses=[503, 500])

    assert (len(server.checks), server.events) == (3, ["started"])


def test_a_machine_with_a_failed_check_writes_nothing_though_the_server_accepts_it(machine: Machine):
    is_bios(machine)

    server, _ = install(machine, checks_statuses=[200])

    assert server.events == ["failed"]


# Release from a group


@pytest.fixture
def releasing(machine: Machine) -> Machine:
    machine.host = replace(machine.host, release_members=True)
    return machine


def test_a_member_of_an_array_without_other_disks_is_released_after_the_server_has_agreed(releasing: Machine):
    for partition in ("sda1", "sda2"):
        releasing.has_signature(partition, "linux_raid_member", "u1")
    releasing.has_user("md127", "sda/sda1", "sda/sda2")
    releasing.has_user("dm-0", "md127", name="vg0-root", uuid="LVM-abc")

    server, errors = install(releasing)

    assert (server.events, errors) == (["started"], "")
    assert server.found["members"][0] == "pass"
    assert server.found["members"][1].endswith("; it is released before the install")
    assert releasing.done == [
        "dmsetup remove --retry vg0-root",
        "mdadm --stop /dev/md127",
        "wipefs --all /dev/sda2",
        "wipefs --all /dev/sda1",
    ]


@pytest.mark.parametrize("statuses", [(409,), (404,)])
def test_a_member_is_not_released_if_the_server_does_not_agree(releasing: Machine, statuses: tuple[int, ...]):
    is_in_a_volume_group(releasing)
    releasing.write("pvs-vg_uuid", "")

    with reports_answered_with(*statuses) as server:
        releasing.runs("pre", server)

    assert server.events == ["started", "failed"]
    assert releasing.done == []


def test_a_volume_group_of_this_disk_alone_is_released(releasing: Machine):
    is_in_a_volume_group(releasing)
    releasing.write("pvs-vg_uuid", "  abc-def\n")
    releasing.write("pvs-pv_name", "  /dev/sda\n")

    server, _ = install(releasing)

    assert server.events == ["started"]
    assert releasing.done == ["dmsetup remove --retry vg0-root", "wipefs --all /dev/sda"]


@pytest.mark.parametrize(
    ("volumes", "shared"),
    [("  /dev/sda\n  /dev/sdb2\n", "sdb"), ("  /dev/sda\n  [unknown]\n", "a disk that is missing")],
)
def test_a_volume_group_with_another_disk_is_not_released(releasing: Machine, volumes: str, shared: str):
    releasing.has_signature("sda", "LVM2_member")
    releasing.write("pvs-vg_uuid", "  abc-def\n")
    releasing.write("pvs-pv_name", volumes)

    server, _ = install(releasing)

    assert server.found["members"] == (
        "fail",
        f"sda shares a group with {shared}, which netboot does not touch: remove sda from it (sda is a LVM2_member)",
    )
    assert (server.events, releasing.done) == (["failed"], [])


def test_a_volume_group_that_cannot_be_listed_is_not_released(releasing: Machine):
    releasing.has_signature("sda", "LVM2_member")
    releasing.lacks("pvs")

    server, _ = install(releasing)

    assert "shares a group with disks that are not known because pvs is missing" in server.found["members"][1]
    assert (server.events, releasing.done) == (["failed"], [])


def test_an_array_with_another_disk_is_not_released_though_it_is_stopped(releasing: Machine):
    releasing.has_signature("sda2", "linux_raid_member", "u1")
    releasing.has_signature("sdb1", "linux_raid_member", "u1")

    server, _ = install(releasing)

    assert "sda shares a group with sdb, which netboot does not touch" in server.found["members"][1]
    assert (server.events, releasing.done) == (["failed"], [])


def test_an_array_with_another_disk_is_not_released_while_it_runs(releasing: Machine):
    is_in_an_array(releasing)

    server, _ = install(releasing)

    assert "sda shares a group with sdb, which netboot does not touch" in server.found["members"][1]
    assert (server.events, releasing.done) == (["failed"], [])


def test_a_mounted_member_is_not_released(releasing: Machine):
    has_a_mounted_volume(releasing)

    server, _ = install(releasing)

    assert server.found["members"] == ("fail", "sda is in use: dm-0 is mounted at /mnt")
    assert releasing.done == []


def test_a_map_that_cannot_be_stopped_ends_the_install_with_the_error(releasing: Machine):
    is_in_a_multipath_map(releasing)
    releasing.has_tool("dmsetup", "echo Device or resource busy >&2; exit 1")

    with reports_answered_with(200) as server:
        ended = releasing.runs("pre", server)

    assert ended.stderr == "netboot: cannot release sda: dmsetup failed: Device or resource busy\n"
    assert server.events == ["started", "failed"]


# Hostile text


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40))
def test_no_name_or_text_of_a_disk_leaves_its_quoting(engine: Engine, cp1: Host, tmp_path_factory, name: str):
    hostile = f"{name}'\"`touch X`$(touch X);touch X #\\"
    home = tmp_path_factory.mktemp("hostile")
    machine = Machine(engine, replace(cp1, name=HostName(hostile), disk=DiskRule(serial=hostile)), "bash", home)
    machine.has_disks(FakeDisk("sda", udev={"ID_SERIAL_SHORT": hostile}, partitions=1))
    machine.has_signature("sda1", f"{hostile}_member")
    machine.has_user("dm-0", "sda", name=hostile, uuid=f"LVM-{hostile}")

    with reports_answered_with(200) as server:
        ended = machine.runs("pre", server)

    report = read_checks(server.checks[0])
    assert [check.name for check in report.checks if check.result is CheckResult.FAIL] in (["members"], ["disk"])
    assert (ended.returncode, server.events) == (1, ["failed"])
    assert not list(home.glob("**/X"))
    assert not Path("X").exists()
