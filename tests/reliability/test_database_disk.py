"""A full disk of the PostgreSQL server itself, of its tables or of its log: what was acknowledged is kept."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fixtures.files import SETTINGS, on_postgresql, write_files
from fixtures.rack import Rack, a_rack
from reliability.faults import Faulted, full
from reliability.own_postgresql import OwnServer, an_own_server
from reliability.requests import Operator

pytestmark = pytest.mark.integration

MEGABYTES = 80
MOST_CHANGES = 4000  # until no page and no segment of the log has space left


@pytest.fixture
def appliance(tmp_path: Path, has_log_beside: bool) -> Iterator[tuple[Rack, OwnServer]]:
    """A rack whose store is a server on a small disk of its own; cp1 is armed."""
    write_files(tmp_path)
    with ExitStack() as stack:
        rack = stack.enter_context(a_rack(tmp_path))
        server = stack.enter_context(
            an_own_server(rack.server_namespace, megabytes=MEGABYTES, has_log_beside=has_log_beside)
        )
        rack.config.write_text(on_postgresql(SETTINGS, server.url))
        rack.start()
        rack.netboot("install", "arm", "cp1")
        yield rack, server


def change_until_refused(rack: Rack) -> tuple[list[str], str]:
    """Arm a host and cancel that, again and again; return the acknowledged reasons, and why one was refused."""
    operator, acknowledged = Operator(rack.directory / "control.sock"), list[str]()
    for number in range(MOST_CHANGES):
        verb, reason = ("arm", "cancel")[number % 2], f"change {number}"
        answer = operator.send("POST", f"/api/v1/hosts/w1/{verb}", {"reason": reason})
        if answer.status >= 500:
            return acknowledged, answer.text
        assert answer.status == 200, answer
        acknowledged.append(reason)
    raise AssertionError(f"{MOST_CHANGES} changes fit on the disk")


def has_each(rack: Rack, acknowledged: list[str]) -> bool:
    history = {move["note"] for move in rack.api("/api/v1/hosts/w1/history")}
    return set(acknowledged[-20:]) <= history


@pytest.mark.parametrize("has_log_beside", [True])
def test_a_full_disk_of_its_tables_is_named_with_its_cure(appliance: tuple[Rack, OwnServer]):
    rack, server = appliance
    faulted = Faulted(rack)
    faulted.begin()
    with full(server.data):
        acknowledged, refused = change_until_refused(rack)
        event = faulted.shows("store", "free some space on the database server")
        faulted.serves_what_needs_no_write()
        script = faulted.serves_no_installer()
        faulted.is_alive_and_quiet()

    assert "free some space on the database server" in refused
    assert "free some space on the database server" in event["reason"]
    assert "store" in script
    faulted.has_recovered("store")
    assert has_each(rack, acknowledged)
    faulted.serves_the_installer()
    assert server.faults() == ""
    faulted.is_alive_and_quiet()


@pytest.mark.parametrize("has_log_beside", [False])
def test_a_full_disk_that_ends_the_server_loses_nothing_acknowledged(appliance: tuple[Rack, OwnServer]):
    rack, server = appliance
    faulted = Faulted(rack)
    faulted.begin()
    with full(server.data):
        acknowledged, refused = change_until_refused(rack)
        faulted.shows("store", "the store")
        faulted.serves_what_needs_no_write()
        faulted.serves_no_installer()
        faulted.is_alive_and_quiet()
    server.start_unless_running()

    assert "the store" in refused
    faulted.has_recovered("store")
    assert has_each(rack, acknowledged)
    faulted.serves_the_installer()
    assert server.faults() == ""
    faulted.is_alive_and_quiet()
