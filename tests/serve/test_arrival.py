"""The interface by which a connection came in, of both families, also to an address of another interface."""

import socket
from collections.abc import Iterator

import pytest
from fixtures.lan import Lan, a_lan
from netns import inside

from netboot.serve.net.arrival import arrived_on, note_arrival

pytestmark = pytest.mark.integration


@pytest.fixture
def lan() -> Iterator[Lan]:
    """Two wires; the client reaches the server's addresses on the second one by the first one too."""
    with a_lan(("192.0.2.10/24", "192.0.2.66/24"), ("10.9.0.1/24", "10.9.0.66/24")) as made:
        for number, network in enumerate(("fd00:2", "fd00:9")):
            made.ip(made.server, "addr", "add", f"{network}::1/64", "dev", f"s{number}", "nodad")
            made.ip(made.client, "addr", "add", f"{network}::2/64", "dev", f"c{number}", "nodad")
        yield made


def arrives(lan: Lan, address: str, *, noted: bool = True) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(lan.server), socket.socket(family) as listening:
        if noted:
            note_arrival(listening)
        listening.bind((address, 8470))
        listening.listen()
        with inside(lan.client), socket.create_connection((address, 8470), timeout=10):
            accepted, _ = listening.accept()
        with accepted:
            return arrived_on(accepted)


@pytest.mark.parametrize(("network", "router", "address"), [
    ("10.9.0.1/32", "192.0.2.10", "10.9.0.1"),
    ("fd00:9::1/128", "fd00:2::1", "fd00:9::1"),
])  # fmt: skip
def test_an_address_is_reached_by_its_own_interface_or_another(lan: Lan, network: str, router: str, address: str):
    assert arrives(lan, address) == "s1"
    lan.ip(lan.client, "route", "add", network, "via", router)
    assert arrives(lan, address) == "s0"


@pytest.mark.parametrize("address", ["10.9.0.1", "fd00:9::1"])
def test_without_the_note_it_is_not_known(lan: Lan, address: str):
    with pytest.raises(OSError, match="does not name the interface"):
        arrives(lan, address, noted=False)
