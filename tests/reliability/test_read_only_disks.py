"""Disks of content and records that become read-only while the daemon runs, as after an error of theirs.

The store's own disk is no part: a disk with a file that is open for writing is not remounted by mount(8).
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from daemon.test_uploads import Uploader
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.rack import Rack, running
from fixtures.rack_in_use import send_lines
from reliability.faults import Faulted, a_disk, read_only

pytestmark = pytest.mark.integration

FILES = SETTINGS + "logs: {listen: '0.0.0.0:514'}\n"


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with ExitStack() as stack:
        for name in ("content", "records"):
            stack.enter_context(a_disk(tmp_path / name, megabytes=24))
        rack = stack.enter_context(running(write_files(tmp_path, settings=FILES)))
        rack.netboot("install", "arm", "cp1")
        yield rack


def test_a_read_only_disk_of_the_content_refuses_uploads_and_serves_what_is_there(rack: Rack):
    faulted, uploader = Faulted(rack), Uploader(rack)
    faulted.begin()
    with read_only(rack.directory / "content"):
        status = uploader.request_upload(1 << 20, kind="iso", name="x")[0]
        event = faulted.shows("content", "Read-only file system")
        faulted.serves_what_needs_no_write()
        faulted.serves_the_installer()
        faulted.is_alive_and_quiet()

    assert status == 503
    assert "mount it writable" in event["reason"]
    faulted.has_recovered("content")
    assert uploader.request_upload(1 << 20, kind="iso", name="x")[0] == 201


def test_a_read_only_disk_of_the_records_drops_them_and_serves_everything_else(rack: Rack):
    faulted = Faulted(rack)
    faulted.unarmed.boots()
    faulted.begin()
    with read_only(rack.directory / "records"):
        send_lines(faulted.unarmed, "lost")
        event = faulted.shows("records", "Read-only file system")
        faulted.serves_what_needs_no_write()
        faulted.serves_the_installer()
        faulted.is_alive_and_quiet()

    assert "mount its file system writable" in event["reason"]
    faulted.has_recovered("records")
    send_lines(faulted.unarmed, "after the fault")
    wait_until(lambda: b"after the fault" in rack.api_text("/api/v1/installs/w1/logs?follow=0") or None)
