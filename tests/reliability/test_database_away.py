"""A PostgreSQL server that is stopped, whose connections end, or that no packet reaches; and one that crashes."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.files import SETTINGS, on_postgresql, write_files
from fixtures.rack import Rack, a_rack
from reliability.faults import Faulted
from reliability.loaded_rack import a_loaded_rack
from reliability.own_postgresql import OwnServer, an_own_server

pytestmark = pytest.mark.integration

CRASHES = 3
LOAD_OR_NETWORK = "check the load of its disk, or of its "  # database server; or server and the network to it


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[tuple[Rack, OwnServer]]:
    """A rack whose store is a server of its own; cp1 is armed."""
    write_files(tmp_path)
    with a_rack(tmp_path) as rack, an_own_server(rack.server_namespace) as server:
        rack.config.write_text(on_postgresql(SETTINGS, server.url))
        rack.start()
        rack.netboot("install", "arm", "cp1")
        try:
            yield rack, server
        finally:
            rack.stop()


@contextmanager
def stopped(server: OwnServer) -> Iterator[None]:
    server.stop_at_once()
    try:
        yield
    finally:
        server.start()


def goes_away_and_comes_back(rack: Rack, server: OwnServer, *, is_cut_off: bool, reason: str, cure: str) -> None:
    faulted = Faulted(rack)
    faulted.begin()
    with server.cut_off() if is_cut_off else stopped(server):
        event = faulted.shows("store", cure)
        faulted.serves_what_needs_no_write()
        script = faulted.serves_no_installer()
        refused = rack.netboot("install", "arm", "w1", status=1)
        faulted.is_alive_and_quiet()

    assert reason in event["reason"]
    assert cure in event["reason"]
    assert "store" in script
    assert "the store" in refused
    faulted.has_recovered("store")
    faulted.serves_the_installer()
    rack.netboot("install", "arm", "w1")
    faulted.is_alive_and_quiet()


def test_a_server_that_is_stopped_and_started(appliance: tuple[Rack, OwnServer]):
    goes_away_and_comes_back(*appliance, is_cut_off=False, reason="the store failed", cure="start the database server")


def test_a_server_that_no_packet_reaches(appliance: tuple[Rack, OwnServer]):
    goes_away_and_comes_back(*appliance, is_cut_off=True, reason="did not", cure=LOAD_OR_NETWORK)


def test_connections_that_the_server_ends_are_opened_again(appliance: tuple[Rack, OwnServer]):
    rack, server = appliance
    faulted = Faulted(rack)
    faulted.begin()

    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'netboot%'")
    server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> pg_backend_pid()"
    )

    faulted.serves_what_needs_no_write()
    faulted.serves_the_installer()
    rack.netboot("install", "arm", "w1")
    faulted.is_alive_and_quiet()


def test_a_server_that_crashes_under_load_has_what_was_acknowledged(tmp_path: Path, archive: bytes):
    chance = random.Random(17)
    with (
        a_loaded_rack(tmp_path, "", seed=17, archive=archive) as loaded,
        an_own_server(loaded.rack.server_namespace) as server,
    ):
        config = loaded.rack.config
        config.write_text(config.read_text().replace('url: ""', f'url: "{server.url}"'))
        loaded.start()
        try:
            for _ in range(CRASHES):
                with loaded.loaded():
                    time.sleep(1 + chance.expovariate(0.5))  # the moment of the crash
                    server.stop_at_once()
                    server.start()
                    time.sleep(2)  # the daemon goes on, under load
                Faulted(loaded.rack).store_answers()
                loaded.compare()
                assert loaded.acknowledged.faults == [], "\n".join(sorted(set(loaded.acknowledged.faults)))
                assert server.faults() == ""
            assert loaded.rack.exit_code is None
        finally:
            loaded.rack.stop()
