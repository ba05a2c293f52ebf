"""Every address of every interface, read from the kernel, now and after each change."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from ipaddress import ip_address

import pytest
from fixtures.lan import Lan, a_lan
from netns import inside

from netboot.model.admin_listen import LocalAddresses
from netboot.serve.net.local_addresses import follow_local_addresses, read_local_addresses

pytestmark = pytest.mark.integration

LOOPBACK = [ip_address("127.0.0.1"), ip_address("::1")]


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan(("192.0.2.10/24", "192.0.2.66/24")) as made:
        made.ip(made.server, "addr", "add", "fd00::1/64", "dev", "s0", "nodad")
        yield made


def test_addresses_of_both_families_are_read_without_those_of_one_link(lan: Lan):
    lan.ip(lan.server, "addr", "add", "169.254.7.7/16", "dev", "s0", "scope", "link")
    with inside(lan.server):
        found = asyncio.run(read_local_addresses())

    assert found == {"lo": LOOPBACK, "s0": [ip_address("192.0.2.10"), ip_address("fd00::1")]}


def test_each_change_is_followed(lan: Lan):
    async def scenario() -> list[LocalAddresses]:
        found = []
        async with aclosing(follow_local_addresses()) as changes, asyncio.timeout(20):
            found.append(await anext(changes))
            for verb in ("add", "del"):
                await asyncio.to_thread(lan.ip, lan.server, "addr", verb, "10.9.0.1/24", "dev", "s0")
                wanted = verb == "add"
                while (ip_address("10.9.0.1") in found[-1]["s0"]) != wanted:
                    found.append(await anext(changes))
            await asyncio.to_thread(lan.ip, lan.server, "link", "del", "s0")
            while "s0" in found[-1]:
                found.append(await anext(changes))
        return found

    with inside(lan.server):
        found = asyncio.run(scenario())

    assert found[0]["s0"] == [ip_address("192.0.2.10"), ip_address("fd00::1")]
    assert found[-1] == {"lo": LOOPBACK}
