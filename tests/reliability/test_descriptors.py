"""A daemon whose descriptors are exhausted by connections: datagrams are answered, it shows the fault, and recovers."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.files import write_files
from fixtures.packets import SERVER
from fixtures.rack import Rack, a_rack
from reliability.faults import Faulted

pytestmark = pytest.mark.integration

DESCRIPTORS = 160
CONNECTIONS = 300


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with a_rack(write_files(tmp_path)) as rack:
        rack.netboot("install", "arm", "cp1")
        rack.start(on=("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"))
        yield rack


def test_connections_that_take_every_descriptor_stop_no_offer_and_no_installed_host(rack: Rack):
    faulted = Faulted(rack)
    faulted.unarmed.boots()
    faulted.begin()
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            line = opened.enter_context(rack.client_socket(socket.AF_INET, socket.SOCK_STREAM))
            line.settimeout(1)
            with suppress(OSError):  # beyond its limit the daemon closes them
                line.connect((SERVER, 8080))
        event = faulted.shows_event("descriptors")
        # The frames of the connections are read before the offer.
        wait_until(faulted.unarmed.discover)
        wait_until(faulted.armed.discover)
        faulted.is_alive_and_quiet()

    assert "set LimitNOFILE=65536 in its unit" in event["reason"]
    faulted.has_recovered("descriptors")
    faulted.serves_what_needs_no_write()
    faulted.serves_the_installer()
    faulted.is_alive_and_quiet()
