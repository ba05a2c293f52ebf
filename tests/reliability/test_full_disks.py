"""A full disk of the store, of the content, or of the records of boots: machines are served, and it recovers."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest
from daemon.test_uploads import Uploader
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.rack import Rack, running
from fixtures.rack_in_use import send_lines
from reliability.faults import UNARMED, Faulted, a_disk, full

from netboot.app.appliance_health import ApplianceHealth
from netboot.store.database import Database
from netboot.telemetry.health import HealthPart, PartState

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


def test_a_full_or_read_only_disk_is_found_before_the_next_write(tmp_path: Path):
    async def checked(*, files: Path) -> tuple[HealthPart, HealthPart, HealthPart]:
        database = await Database.open(f"sqlite+aiosqlite:///{files}/netboot.db")
        found = []
        try:
            for fault in (nullcontext(), full(files), bound_read_only(files)):
                with fault:
                    health = ApplianceHealth(database, tmp_path, known=list)
                    found.append((await health.check()).parts[0])
        finally:
            await database.close()
        sound, filled, bound = found
        return sound, filled, bound

    with a_disk(tmp_path / "store", megabytes=4) as disk:
        sound, filled, bound = asyncio.run(checked(files=disk))

    full_text = "the store cannot be written: No space left on device; free some space on its file system"
    read_only_text = "the store cannot be written: Read-only file system; mount its file system writable, or add"
    assert (sound, filled) == (HealthPart("store"), HealthPart("store", "", PartState.FAILED, (full_text,)))
    assert bound.reasons[0].startswith(read_only_text)


@contextmanager
def bound_read_only(directory: Path) -> Iterator[None]:
    """Let a directory be read-only by its path meanwhile, as the sandbox of a unit does."""
    for command in (["mount", "--bind", directory, directory], ["mount", "-o", "remount,bind,ro", directory]):
        subprocess.run(command, check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True, timeout=10)


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
