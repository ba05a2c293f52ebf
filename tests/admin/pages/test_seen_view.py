"""What machines showed and reported, as pages show it."""

from datetime import UTC, datetime
from ipaddress import IPv4Address

from netboot.admin.pages.machines.seen_view import CardRow, DiskRow, Fact, hardware_view, inspection_view, seen_card
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.hardware import hardware_in
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.model.install.wipe import Wipe, WipeState

AT = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
MAC = Mac("52:54:00:aa:bb:01")
REPORT = """\
firmware uefi
secure_boot 1
memory_kib 65536000
cpus 8
disk vda
size_bytes 480000000000
rotational 0
removable 1
model QEMU
serial S1
by_id /dev/disk/by-id/ata-1
disk vdb
nic eno1
mac 52:54:00:aa:bb:01
driver virtio_net
link 1
speed_mbps 25000
nic eno2
"""


def test_a_card_has_every_fact_that_is_known_and_no_other():
    machine = Machine(
        MAC,
        AT,
        AT,
        arch="x64-uefi",
        addresses=(IPv4Address("192.0.2.50"), IPv4Address("192.0.2.51")),
        facts={MachineFact.SERIAL: "S1", MachineFact.SWITCH_PORT: "Gi1/0/7"},
        last_path=RelayPath(IPv4Address("192.0.2.1"), "port 7"),
    )

    assert seen_card(machine).facts == (
        Fact("Architecture", "x64-uefi"),
        Fact("Addresses", "192.0.2.50, 192.0.2.51"),
        Fact("Reported serial", "S1"),
        Fact("Reported switch port", "Gi1/0/7"),
        Fact("Last request", "by relay 192.0.2.1 circuit port 7"),
    )


def test_hardware_is_shown_as_tables_of_disks_and_cards():
    found = hardware_view(hardware_in(REPORT))

    assert found.summary == "uefi, Secure Boot on, 62.5 GiB memory, 8 CPUs"
    assert found.disks == (
        DiskRow("vda", "480.0 GB", "not rotational, removable", "QEMU", "S1", "/dev/disk/by-id/ata-1"),
        DiskRow("vdb", "", "", "", "", ""),
    )
    assert found.cards == (
        CardRow("eno1", "52:54:00:aa:bb:01", "virtio_net", "link, 25000 Mb/s"),
        CardRow("eno2", "", "", ""),
    )


def test_an_inspection_that_nobody_requested_is_not_shown():
    assert inspection_view(Inspection(MAC)) is None


def test_a_wipe_is_described():
    wipe = Wipe(HostName("w9"), (MAC,), DiskRule(serial="S1"), WipeState.REFUSED, AT, note="no \x1b such disk")

    found = inspection_view(Inspection(MAC, wipe=wipe, begun_at=AT, medium="ol8u10"))

    assert found is not None
    assert found.wipe.startswith("wipe of w9 refused ")
    assert found.wipe.endswith(": no \ufffd such disk")
    assert (found.kind, found.medium, found.hardware) == ("inspect", "ol8u10", None)
