"""What the pages of unregistered machines show: the list, one machine, and what may be requested for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest

from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.boots.machine_boots import BootsView
from netboot.admin.pages.boots.shown_log import ShownLog
from netboot.admin.pages.machines.machines_view import (
    MachineRow,
    found_among,
    machine_actions,
    machine_row,
    machine_view,
    machines_view,
)
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.boot.other_server import OtherServer, ServerEffect, ServerKind
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.hardware import Hardware
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.model.install.wipe import Wipe, WipeState
from netboot.operate.host_status import DiscoveredMachine

AT = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
MAC, OTHER = Mac("52:54:00:aa:bb:01"), Mac("52:54:00:aa:bb:02")
MACHINE = Machine(
    MAC,
    AT,
    AT,
    arch="x64-uefi",
    addresses=(IPv4Address("192.0.2.50"), IPv4Address("192.0.2.51")),
    facts={MachineFact.MANUFACTURER: "Dell", MachineFact.PRODUCT: "R650\x1b", MachineFact.SERIAL: "S1"},
    last_path=RelayPath(IPv4Address("192.0.2.1"), "port 7"),
)
INSPECTION = Inspection(MAC)
NO_BOOTS = BootsView(None, (), ShownLog())
SERVER = OtherServer(
    IPv4Address("192.0.2.5"),
    None,
    "eth1",
    ServerKind.PROXY,
    ServerEffect.PXE_SERVER,
    boot_file="",
    next_server="",
    has_menu=False,
    boot_client=None,
    first_seen=AT,
    last_seen=AT,
    offers=1,
)


def test_a_row_has_what_the_machine_showed_and_reported():
    assert machine_row(DiscoveredMachine(MACHINE, None)) == MachineRow(
        mac=MAC,
        row_id="machine-52-54-00-aa-bb-01",
        url="/machines/52:54:00:aa:bb:01",
        model="Dell R650\ufffd",
        serial="S1",
        addresses="192.0.2.50, 192.0.2.51",
        port="by relay 192.0.2.1 circuit port 7",
        relay="192.0.2.1",
        arch="x64-uefi",
        last_seen=AT,
        once="",
        once_at=None,
    )


@pytest.mark.parametrize(
    ("inspection", "once"),
    [
        (INSPECTION, ("", None)),
        (INSPECTION.requested(AT), ("inspect requested", AT)),
        (INSPECTION.begun("ol9", "a" * 32, at=AT), ("inspection begun", AT)),
        (INSPECTION.begun("ol9", "a" * 32, at=AT).reported(Hardware(), at=LATER), ("inspected", LATER)),
        (
            replace(
                INSPECTION, wipe=Wipe(HostName("w9"), (MAC,), DiskRule(serial="S1"), WipeState.DONE, LATER), begun_at=AT
            ),
            ("wipe of w9 done", LATER),
        ),
    ],
)
def test_a_row_has_the_last_that_is_known_of_inspections_and_wipes(
    inspection: Inspection, once: tuple[str, datetime | None]
):
    row = machine_row(DiscoveredMachine(MACHINE, inspection))

    assert (row.once, row.once_at) == once


def test_the_machine_that_was_seen_last_is_first_and_the_filter_finds_any_text():
    found = [DiscoveredMachine(MACHINE, None), DiscoveredMachine(Machine(OTHER, AT, LATER), None)]
    shown = {
        query: [row.mac for row in machines_view(found, query, ()).rows]
        for query in ("", "  dell ", "bb:02", "192.0.2.51", "PORT 7", "nothing")
    }

    assert shown == {
        "": [OTHER, MAC],
        "  dell ": [MAC],
        "bb:02": [OTHER],
        "192.0.2.51": [MAC],
        "PORT 7": [MAC],
        "nothing": [],
    }
    cut = machines_view(found, " " + "x" * 200, ())
    assert (cut.total, cut.query) == (2, "x" * 100)


def test_a_machine_has_what_other_servers_do_to_its_boots_and_no_harmless_one():
    leases = replace(SERVER, kind=ServerKind.DHCP, effect=ServerEffect.NONE)
    servers = [leases, SERVER, replace(SERVER, boot_client=MAC), replace(SERVER, boot_client=OTHER)]

    view = machine_view(DiscoveredMachine(MACHINE, INSPECTION.requested(AT)), NO_BOOTS, servers, ())

    sentence = (
        "the PXE server 192.0.2.5 on eth1 answers boot requests, so machines may boot from it instead of netboot; "
        "stop it, or let it ignore the machines of netboot; docs/other-servers.md."
    )
    assert view.servers == (sentence, f"{sentence} It was seen in a reply to this machine.", sentence)
    assert view.inspection is not None
    assert (view.row.once, view.inspection.kind) == ("inspect requested", "inspect")
    assert machine_view(DiscoveredMachine(MACHINE, None), NO_BOOTS, (), ()).inspection is None


@pytest.mark.parametrize(
    ("inspection_refusal", "refusal", "refusals"),
    [
        (None, None, [None, None]),
        ("no medium", None, [None, "no medium"]),
        ("no medium", "log in as an admin", ["log in as an admin"] * 2),
    ],
)
def test_machines_are_approved_and_inspected_unless_that_is_refused(
    inspection_refusal: str | None, refusal: str | None, refusals: list[str | None]
):
    query = "mac=52%3A54%3A00%3Aaa%3Abb%3A01&mac=52%3A54%3A00%3Aaa%3Abb%3A02"

    assert machine_actions([MAC, OTHER], inspection_refusal, refusal) == [
        ActionLink("approve", "Approve", f"/machines/approve?{query}", refusals[0]),
        ActionLink("inspect", "Inspect", f"/machines/inspect?{query}", refusals[1]),
    ]


def test_a_machine_is_found_by_its_mac():
    found = [DiscoveredMachine(Machine(mac, AT, AT), None) for mac in (MAC, OTHER)]

    assert (found_among(found, OTHER), found_among(found, "52:54:00:00:00:77")) == (found[1], None)
