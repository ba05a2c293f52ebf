"""A SQLite file that another program keeps locked, longer than any request waits."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.files import write_files
from fixtures.rack import Rack, running
from reliability.faults import Faulted

pytestmark = pytest.mark.integration


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with running(write_files(tmp_path)) as rack:
        rack.netboot("install", "arm", "cp1")
        yield rack


@contextmanager
def locked(database: Path) -> Iterator[None]:
    connection = sqlite3.connect(database, isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_locked_file_stops_writes_only_and_is_named_with_its_cure(rack: Rack):
    faulted = Faulted(rack)
    faulted.begin()
    with locked(rack.directory / "netboot.db"):
        refused = rack.netboot("install", "arm", "w1", status=1)
        event = faulted.shows("store", "another program keeps it locked")
        faulted.serves_what_needs_no_write()
        faulted.serves_no_installer()
        faulted.is_alive_and_quiet()

    assert "another program keeps it locked: fuser names it" in refused
    assert "another program keeps it locked: fuser names it" in event["reason"]
    faulted.has_recovered("store")
    faulted.serves_the_installer()
    rack.netboot("install", "arm", "w1")
    faulted.is_alive_and_quiet()
