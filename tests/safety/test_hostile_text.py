"""Text and numbers of machines in what an operator reads: events, metrics, lists."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from safety import wire
from safety.appliance import Appliance, link_shared
from safety.declared import AT_FIRST, POOL, X

ADDRESS = POOL[0]


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    link_shared(shared, tmp_path)
    box = Appliance(tmp_path, AT_FIRST.text())
    box.dhcp(67, wire.discover(wire.UEFI, X, 7))
    box.dhcp(67, wire.lan_request(X, 7, ADDRESS))
    yield box
    box.close()


def events(box: Appliance) -> list[bytes]:
    """Read every stored event."""
    box.advance(5)
    answer = box.api("GET", "/events?follow=0")
    assert answer.status == 200
    return [line[6:] for line in answer.body.splitlines() if line.startswith(b"data: ")]


def test_a_file_name_that_is_not_utf_8_hides_no_event(box: Appliance):
    assert isinstance(box.tftp("\xff\xfe/grubx64.efi", ADDRESS), bytes)
    box.dhcp(67, wire.discover(wire.UEFI, "52:54:00:00:00:77", 8))

    found = events(box)
    assert rb'"name": "\\udcff\\udcfe/grubx64.efi"' in found[-2]
    assert b"52:54:00:00:00:77" in found[-1]


@pytest.mark.parametrize("name", ["%1b[2J/grubx64.efi", "\xff/grubx64.efi", "%00/grubx64.efi"])
def test_a_file_name_in_a_url_is_one_printable_line_in_the_event(box: Appliance, name: str):
    assert box.http("GET", f"/bootfiles/{name}", ADDRESS).status == 200

    (event,) = (each for each in events(box) if b"boot.loader_sent" in each)
    assert b"\\u" not in event.replace(b"\\\\", b"")
    assert b"/grubx64.efi" in event


def test_an_architecture_without_a_name_adds_no_counter(box: Appliance):
    for number in range(1000, 1100):
        firmware = wire.Firmware("unknown", number, b"PXEClient")
        box.dhcp(67, wire.discover(firmware, "52:54:00:aa:bb:01", number, is_ipxe=True))

    text = box.administration("GET", "/metrics").body
    offered = [line for line in text.splitlines() if line.startswith(b"netboot_dhcp_offered_total")]
    assert offered == [b'netboot_dhcp_offered_total{arch="other",kind="script"} 100.0']


def test_a_class_of_any_length_is_stored_short(box: Appliance):
    long = wire.message(wire.DISCOVER, "52:54:00:00:00:77", 9, [(60, b"PXEClient" + b"\xff" * 246), (93, b"\0\7")])
    box.dhcp(67, long)

    box.advance(5)
    found = {each["mac"]: each["vendor_class"] for each in box.api("GET", "/machines").json()}
    assert len(found["52:54:00:00:00:77"]) == 255


def test_a_stored_event_with_a_name_that_is_not_utf_8_is_read(box: Appliance):
    box.advance(5)
    with closing(sqlite3.connect(box.directory / "netboot.db")) as store, store:
        store.execute("INSERT INTO events (at, name, data) SELECT at, 'x', '{\"name\": \"\\udcff/x\"}' FROM events")

    assert b'"data": {"name": "?/x"}' in events(box)[-1]
