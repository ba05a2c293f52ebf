"""The prober on a wire of its own: which answers count, and how long it waits. The peer is the kernel's ARP."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from fixtures.lan import a_lan
from netns import inside

from netboot.errors import PortError
from netboot.model.host.mac import Mac
from netboot.model.host.network import Interface
from netboot.serve.net.arp import PROBE_S, ArpProber

pytestmark = pytest.mark.integration

NEIGHBOUR = Mac("52:54:00:00:00:77")
HELD, FREE = IPv4Address("192.0.2.200"), IPv4Address("192.0.2.201")
OURS = IPv4Address("192.0.2.10")


class CountedThings(Counter[str]):
    def count(self, name: str, **_labels: str) -> None:
        self[name] += 1


@pytest.fixture
def namespace() -> Iterator[str]:
    """`s0` in a namespace, wired to `c0` in another, where NEIGHBOUR has HELD."""
    with a_lan((f"{OURS}/24", f"{HELD}/24")) as lan:
        lan.ip(lan.server, "addr", "flush", "dev", "s0")
        lan.ip(lan.client, "link", "set", "c0", "address", NEIGHBOUR)
        yield lan.server


def holders(namespace: str, *probes: tuple[IPv4Address, Mac | None]) -> tuple[list[Mac | None], float]:
    """Probe these addresses all at once; return also the duration."""

    async def scenario() -> tuple[list[Mac | None], float]:
        loop = asyncio.get_running_loop()
        with inside(namespace):
            prober = ArpProber(Interface("s0", 1, OURS, (OURS,)), counters=CountedThings())
        try:
            began = loop.time()
            found = await asyncio.gather(*(prober.holder(address, besides=mac) for address, mac in probes))
            return list(found), loop.time() - began
        finally:
            prober.close()

    return asyncio.run(scenario())


def test_a_machine_that_has_the_address_is_found_though_we_have_none_there(namespace: str):
    found, _ = holders(namespace, (HELD, None))

    assert found == [NEIGHBOUR]


def test_a_free_address_is_found_within_half_a_second_however_many_are_probed(namespace: str):
    found, took_s = holders(namespace, *[(FREE + number, None) for number in range(50)])

    assert found == [None] * 50
    assert PROBE_S <= took_s < 1.0


def test_the_machine_that_requests_its_own_address_is_no_conflict(namespace: str):
    found, _ = holders(namespace, (HELD, NEIGHBOUR), (HELD, Mac("52:54:00:aa:bb:01")))

    assert found == [None, NEIGHBOUR]


def test_an_interface_that_is_not_there_is_an_error_with_a_cure():
    async def scenario() -> None:
        ArpProber(Interface("none0", 1, OURS, (OURS,)), counters=CountedThings())

    with pytest.raises(PortError, match="cannot watch ARP on none0: No such device"):
        asyncio.run(scenario())
