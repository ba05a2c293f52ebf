"""A full disk of the store, of the content, or of the records of boots: machines are served, and it recovers."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from daemon.test_uploads import Uploader
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.rack import Rack, running
from fixtures.rack_in_use import send_lines
from reliability.faults import UNARMED, Faulted, a_disk, full

pytestmark = pytest.mark.integration

ON_DISKS = (
    SETTINGS.replace("sqlite+aiosqlite:///netboot.db", "sqlite+aiosqlite:///store/netboot.db")
    + "logs: {listen: '0.0.0.0:514'}\n"
)


@pytest.fixture
def disks() -> dict[str, int]:
    """The directories with disks of their own, and their megabytes."""
    return {"store": 4}


@pytest.fixture
def rack(tmp_path: Path, disks: dict[str, int]) -> Iterator[Rack]:
    with ExitStack() as stack:
        for name, megabytes in disks.items():
            stack.enter_context(a_disk(tmp_path / name, megabytes=megabytes))
        write_files(tmp_path, settings=ON_DISKS)
        rack = stack.enter_context(running(tmp_path))
        rack.netboot("install", "arm", "cp1")
        yield rack


def test_with_a_full_disk_of_the_store_machines_are_served_and_none_is_installed(rack: Rack):
    faulted = Faulted(rack)
    faulted.begin()
    with full(rack.directory / "store"):
        refused = rack.netboot("install", "arm", "w1", status=1)
        event = faulted.shows("store", "free some space on its file system")
        faulted.serves_what_needs_no_write()
        script = faulted.serves_no_installer()
        faulted.is_alive_and_quiet()

    assert "free some space on its file system" in refused
    assert "free some space on its file system" in event["reason"]
    assert "store" in script
    faulted.has_recovered("store")
    assert rack.install("w1")["arming"] is None
    faulted.serves_the_installer()
    faulted.is_alive_and_quiet()


@pytest.mark.parametrize("disks", [{"content": 24}])
def test_a_full_disk_of_the_content_refuses_uploads_and_serves_what_is_there(rack: Rack):
    faulted, uploader = Faulted(rack), Uploader(rack)
    faulted.begin()
    with full(rack.directory / "content"):
        status, answer, _ = uploader.request_upload(5 << 20, kind="iso", name="x")
        event = faulted.shows("content", "the file system is full: netboot content gc")
        faulted.serves_what_needs_no_write()
        faulted.serves_the_installer()
        faulted.is_alive_and_quiet()

    assert status == 507
    assert "free some space" in json.dumps(answer)
    assert "the file system is full: netboot content gc" in event["reason"]
    faulted.has_recovered("content")
    assert uploader.request_upload(5 << 20, kind="iso", name="x")[0] == 201


@pytest.mark.parametrize("disks", [{"records": 2}])
def test_a_full_disk_of_the_records_drops_them_and_serves_everything_else(rack: Rack):
    faulted = Faulted(rack)
    w1 = rack.machine(*UNARMED)
    w1.boots()
    faulted.begin()
    with full(rack.directory / "records"):
        send_lines(w1, *[f"line {number} {'x' * 200}" for number in range(100)])
        event = faulted.shows("records", "No space left on device")
        faulted.serves_what_needs_no_write()
        faulted.serves_the_installer()
        faulted.is_alive_and_quiet()

    assert "free some space" in event["reason"]
    faulted.has_recovered("records")
    send_lines(w1, "after the fault")
    wait_until(lambda: b"after the fault" in rack.api_text("/api/v1/installs/w1/logs?follow=0") or None)
