"""Lines about a machine: all that it showed and reported, and nothing that it did not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

from netboot.admin.json_views import json_view
from netboot.admin.texts.machine_text import (
    discovered_rows,
    every_fact,
    inspection_lines,
    machine_lines,
    next_boot_texts,
    one_time_lines,
)
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.firmware import LocalBoot, LocalBootMethod
from netboot.model.host.hardware import Hardware, InspectedCard, InspectedDisk
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection, OneTimeBoot, RequestedBoot
from netboot.model.install.wipe import Wipe, WipeState
from netboot.operate.host_status import DiscoveredMachine

MAC = Mac("52:54:00:aa:bb:01")
HARDWARE = Hardware(
    "uefi",
    secure_boot=False,
    setup_mode=True,
    memory_kib=65_536_000,
    cpu="Xeon",
    cpus=64,
    disks=(
        InspectedDisk("sda", 480 * 10**9, False, False, False, "SSD", ("S1", "S2"), ("0x5",), ("/dev/disk/by-path/p",)),
        InspectedDisk("sdb", rotational=True, removable=True, read_only=True),
    ),
    cards=(InspectedCard("eno1", str(MAC), "ixgbe", True, 10_000), InspectedCard("eno2", has_link=False)),
)

FACTS = {MachineFact.PRODUCT: "R650", MachineFact.SERIAL: "S1", MachineFact.IPXE: "1.21.1", MachineFact.ASSET: "A7"}
AT_A_SWITCH = {MachineFact.SWITCH: "leaf1", MachineFact.SWITCH_PORT: "Gi1/0/7"}
PATH = RelayPath(IPv4Address("192.0.2.1"), "port 7", "sw1")


def ago(**age: float) -> datetime:
    return datetime.now(UTC) - timedelta(**age)


def wiped(state: WipeState, note: str = "") -> Inspection:
    return Inspection(MAC, wipe=Wipe(HostName("w9"), (MAC,), DiskRule(serial="S1"), state, ago(hours=2), note))


def lines(inspection: Inspection) -> list[str]:
    view: dict[str, Any] = json_view(inspection)
    assert "token" not in view
    return list(inspection_lines(view))


def test_an_inspection_is_described():
    now = datetime.now(UTC)

    assert lines(Inspection(MAC).begun("ol9", "a" * 32, at=now).reported(HARDWARE, at=now)) == [
        f"{MAC}: begun 0 s ago, reported 0 s ago with ol9",
        "  reported by the machine, unverified: uefi, Secure Boot off, in setup mode, 62.5 GiB memory, 64 CPUs, Xeon",
        "  disk sda, 480 GB, not rotational, model SSD, serial S1, wwn 0x5, /dev/disk/by-path/p",
        "  disk sdb, rotational, removable, read-only",
        f"  card eno1, {MAC}, ixgbe, link, 10000 Mb/s",
        "  card eno2, no link",
    ]


def test_a_request_and_an_empty_report_are_described():
    now = datetime.now(UTC)

    assert lines(Inspection(MAC).requested(now)) == [f"{MAC}: requested 0 s ago"]
    assert lines(Inspection(MAC).reported(Hardware(), at=now))[1:] == ["  reported by the machine, unverified: nothing"]


def test_a_wipe_is_described_with_its_request_and_its_result():
    wipe = wiped(WipeState.REFUSED, "no such disk").wipe
    assert wipe is not None

    assert lines(Inspection(MAC).wipe_requested(wipe, "ol9")) == [
        f"{MAC}: wipe requested 2 h ago",
        "  wipe of w9 refused 2 h ago: no such disk",
    ]


def test_a_discovered_machine_is_a_row_with_its_port_by_lldp_else_by_option_82():
    bare = Machine(MAC, ago(days=2), ago(minutes=5))
    full = replace(bare, arch="x64-uefi", vendor_class="PXEClient", uuid="4c4c", facts=FACTS, last_path=PATH)
    at_a_switch = replace(full, facts=AT_A_SWITCH)
    found = json_view([DiscoveredMachine(each, None) for each in (full, at_a_switch)])

    assert list(discovered_rows(found)) == [
        (MAC, "x64-uefi", "PXEClient", "4c4c", "5 min ago", "R650 S1", "by relay 192.0.2.1 circuit port 7 remote sw1"),
        (MAC, "x64-uefi", "PXEClient", "4c4c", "5 min ago", "", "leaf1 Gi1/0/7"),
    ]
    (row,) = discovered_rows(json_view([DiscoveredMachine(replace(bare, arch="x86-bios"), None)]))
    assert row == (MAC, "x86-bios", "", "", "5 min ago", "", "")


def test_a_card_of_a_host_has_how_it_was_seen_how_it_boots_its_disk_and_what_it_reported():
    boots = {"pxe/x64": LocalBoot(LocalBootMethod.EXIT, why="ignition")}
    machine = Machine(MAC, ago(days=2), ago(minutes=5), facts=FACTS, last_path=PATH, local_boots=boots)
    view = json_view(replace(machine, first_path=RelayPath(None, "port 6")))
    view["local_boots"]["pxe/arm64"] = {"method": "of another version"}

    assert list(machine_lines(view)) == [
        f"{MAC}: first seen 2 d ago, last seen 5 min ago",
        "  first request circuit port 6",
        "  last request by relay 192.0.2.1 circuit port 7 remote sw1",
        "  local boot of pxe/x64: exit, the installed system requested its Ignition after it",
        "  reported by the machine, unverified: product R650, serial S1, iPXE 1.21.1, asset tag A7",
    ]
    assert list(machine_lines(json_view(Machine(MAC, ago(days=2), ago(days=2))))) == [
        f"{MAC}: first seen 2 d ago, last seen 2 d ago"
    ]


def test_each_field_of_a_machine_that_has_a_value_is_one_line():
    seen = ago(minutes=5)
    machine = Machine(MAC, seen, seen, addresses=(IPv4Address("192.0.2.50"), IPv4Address("192.0.2.51")), facts=FACTS)

    assert list(every_fact(json_view(machine))) == [
        ("mac", MAC),
        ("first seen", f"{seen.isoformat()} (5 min ago)"),
        ("last seen", f"{seen.isoformat()} (5 min ago)"),
        ("addresses", "192.0.2.50"),
        ("addresses", "192.0.2.51"),
        ("facts product", "R650"),
        ("facts serial", "S1"),
        ("facts ipxe", "1.21.1"),
        ("facts asset", "A7"),
    ]


def test_what_a_host_boots_once_has_its_medium_and_its_age():
    rescue = RequestedBoot(OneTimeBoot.RESCUE, ago(minutes=5), "ol9")
    inspect = replace(rescue, kind=OneTimeBoot.INSPECT, medium=None)

    assert next_boot_texts(None) == []
    assert next_boot_texts(json_view(rescue)) == ["rescue of ol9 requested 5 min ago"]
    assert next_boot_texts(json_view(inspect)) == ["inspect requested 5 min ago"]


def test_wipes_and_requests_that_no_boot_has_spent_are_listed_for_unregistered_machines():
    states = [None, Inspection(MAC), wiped(WipeState.BEGUN), Inspection(MAC).requested(ago(minutes=5))]
    machine = Machine(MAC, ago(days=2), ago(days=2))

    assert list(one_time_lines(json_view([DiscoveredMachine(machine, state) for state in states]))) == [
        f"{MAC}: wipe of w9 begun 2 h ago",
        f"{MAC}: inspect requested 5 min ago",
    ]
