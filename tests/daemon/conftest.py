"""A rack with a running daemon, its files and its content; and one for a whole module, whose daemon is never reset."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.files import OPEN_SETTINGS, write_boot_files, write_files
from fixtures.packets import ADDRESS, RELAY
from fixtures.rack import Rack, a_rack, running
from fixtures.wire import Wire


@pytest.fixture(scope="module")
def open_rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """A daemon with `cp1` armed and `hosts.unknown: wait`; a relay's network lies behind the client."""
    directory = write_files(tmp_path_factory.mktemp("open"), settings=OPEN_SETTINGS)
    write_boot_files(directory / "boot")
    with a_rack(directory) as rack:
        rack.add_client_address(ADDRESS)
        rack.add_route(f"{RELAY}/32", ADDRESS)
        rack.netboot("install", "arm", "cp1")
        rack.start()
        yield rack


@pytest.fixture
def wire(open_rack: Rack) -> Iterator[Wire]:
    wire = open_rack.lan.wire()
    yield wire
    wire.close()


@pytest.fixture
def rack_directory(tmp_path: Path) -> Path:
    """The files of an appliance that serves cp1 and w1 on 192.0.2.10."""
    return write_files(tmp_path)


@pytest.fixture
def rack(rack_directory: Path) -> Iterator[Rack]:
    """A daemon that serves cp1 and w1; nothing is armed."""
    with running(rack_directory) as rack:
        yield rack
