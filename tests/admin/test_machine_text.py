"""Lines about an inspected machine: all that it reported, and nothing that it did not."""

from datetime import UTC, datetime
from typing import Any

from netboot.admin.json_views import json_view
from netboot.admin.texts.machine_text import inspection_lines
from netboot.model.host.hardware import Hardware, InspectedCard, InspectedDisk
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection

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
