"""Two appliances that lose their notified connections, and then the database: both report it, and both recover."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from daemon.test_appliances_latency import hosts_in_memory, noted
from fixtures.appliances import Box, two_boxes
from fixtures.daemon import START_S, wait_until
from fixtures.lan import a_lan
from reliability.own_postgresql import OwnServer, an_own_server

pytestmark = pytest.mark.integration

POLLED_S: Final = 3.0  # a poll each second, on a busy computer
FOLLOWING: Final = "FROM pg_stat_activity WHERE application_name = 'netboot, following changes'"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[OwnServer, Box, Box]]:
    """Two running appliances, and the server of their store, which they reach by its Unix socket."""
    with a_lan(("192.0.2.10/24", "192.0.2.66/24")) as lan, an_own_server(lan.server) as server:
        server.query("CREATE DATABASE netboot")
        url = f"postgresql+asyncpg://postgres@/netboot?host={server.directory}"
        with two_boxes(tmp_path, url) as (first, second):
            for box in (first, second):
                box.start()
            yield server, first, second


@contextmanager
def without_notifications(server: OwnServer) -> Iterator[None]:
    """End the connections on which changes are notified, and let no new one be opened; the others stay."""
    server.query("ALTER DATABASE netboot ALLOW_CONNECTIONS false")
    try:
        assert server.query(f"SELECT count(pg_terminate_backend(pid)) {FOLLOWING}") == "2"
        yield
    finally:
        server.query("ALTER DATABASE netboot ALLOW_CONNECTIONS true")


def change(box: Box, action: str, body: str) -> None:
    arguments = ["--fail", "-X", "POST", "-H", "Content-Type: application/json", "-d", body]
    box.api_text(f"/api/v1/hosts/w1/{action}", *arguments)


def follows_again(box: Box) -> bool | None:
    return len(box.lines("store.changes_followed")) == 2 or None  # once at the start


def test_what_is_armed_at_one_is_known_to_the_other_while_nothing_is_notified(shared: tuple[OwnServer, Box, Box]):
    server, first, second = shared
    with without_notifications(server):
        for box in (first, second):
            box.wait_for("store.changes_polled")
        notified, polled = noted(second, "notification"), noted(second, "poll")

        change(first, "arm", '{"force": true}')

        began_s = time.monotonic()
        wait_until(lambda: hosts_in_memory(second, is_armed=True) or None)
        took_s = time.monotonic() - began_s
        assert noted(second, "notification") == notified
        assert noted(second, "poll") > polled
        assert server.query(f"SELECT count(*) {FOLLOWING}") == "0"

    assert took_s < POLLED_S
    for box in (first, second):
        wait_until(partial(follows_again, box), timeout_s=START_S)
    notified = noted(first, "notification")
    change(second, "cancel", "{}")
    wait_until(lambda: hosts_in_memory(first, is_armed=False) or None)
    assert noted(first, "notification") > notified


def test_a_database_that_goes_away_is_reported_by_both_and_found_again_by_both(shared: tuple[OwnServer, Box, Box]):
    server, first, second = shared
    change(first, "arm", '{"force": true}')
    wait_until(lambda: hosts_in_memory(second, is_armed=True) or None)

    server.stop_at_once()

    for box in (first, second):
        fault = box.wait_for("appliance.fault_found", part="store")
        assert "start the database server" in fault["reason"]
        assert fault["reason"].split(":")[0] in "\n".join(box.api("/api/v1/status")["problems"])

    server.start()

    for box in (first, second):
        box.wait_for("appliance.fault_ended", part="store")
        wait_until(partial(follows_again, box), timeout_s=START_S)
        assert box.exit_code is None
        assert hosts_in_memory(box, is_armed=True)
    change(second, "cancel", "{}")
    wait_until(lambda: hosts_in_memory(first, is_armed=False) or None)
