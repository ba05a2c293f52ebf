"""The addresses that hosts have from pools, as the commands without a daemon print them."""

import asyncio
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from fixtures.command_line import CommandLine

from netboot.model.host.address_pool import Allocation
from netboot.model.host.host import HostName
from netboot.store.allocations import Allocations
from netboot.store.database import Database

POOLS = """\
address_pools:
  rack1:
    subnet: 192.0.2.0/24
    addresses: 192.0.2.40-192.0.2.50
    gateway: 192.0.2.1
    subnet6: 2001:db8::/64
    addresses6: 2001:db8::40-2001:db8::50
"""
NOTE = (
    "not recorded yet, the daemon records them at its start or a reload: "
    "cp1 192.0.2.40, w1 192.0.2.41, cp1 2001:db8::40, w1 2001:db8::41"
)


@pytest.fixture
def pools(netboot: CommandLine) -> CommandLine:
    netboot.hosts.write_text(
        POOLS + netboot.hosts.read_text().replace("defaults: {", "defaults: {network: {pool: rack1}, ", 1)
    )
    return netboot


def record(box: CommandLine, address: str, host: str) -> None:
    """Record an address as a daemon does."""

    async def recorded() -> None:
        database = await Database.open(f"sqlite+aiosqlite:///{box.directory}/netboot.db")
        allocation = Allocation(ip_address(address), HostName(host))
        await Allocations(database).record([allocation], at=datetime(2026, 11, 29, 8, tzinfo=UTC))
        await database.close()

    asyncio.run(recorded())


def test_explain_shows_the_place_of_the_pool_and_that_the_address_is_not_recorded(pools: CommandLine):
    lines = pools.printed("explain", "w1").splitlines()

    found = lines.index("network.address   192.0.2.41/24")
    assert [line.strip() for line in lines[found - 4 : found + 9]] == [
        "network.pool      rack1",
        "from ./hosts.yaml:9:28: defaults.network.pool",
        "network.gateway   192.0.2.1",
        "from ./hosts.yaml:5:14: address_pools.rack1.gateway",
        "network.address   192.0.2.41/24",
        "from ./hosts.yaml:4:16: address_pools.rack1.addresses",
        "not recorded yet: the daemon records it at its start or a reload",
        "network.address6  2001:db8::41/64",
        "from ./hosts.yaml:7:17: address_pools.rack1.addresses6",
        "not recorded yet: the daemon records it at its start or a reload",
        "ignition.join     ./ign/worker-join.ign",
        "from ./hosts.yaml:12:29: roles.worker.ignition.join",
        "role              worker",
    ]


def test_explain_shows_when_the_address_was_recorded(pools: CommandLine):
    record(pools, "192.0.2.47", "w1")

    assert "    recorded 2026-11-29T08:00:00+00:00" in pools.printed("explain", "w1")
    [address] = [each for each in pools.json("explain", "w1")["values"] if each["key"] == "network.address"]
    assert address == {
        "key": "network.address",
        "value": "192.0.2.47/24",
        "from": [{"where": "address_pools.rack1.addresses", "file": "./hosts.yaml", "line": 4, "column": 16}],
        "overrides": [],
        "recorded_at": "2026-11-29T08:00:00+00:00",
    }


def test_plan_check_and_the_host_commands_have_the_recorded_address(pools: CommandLine):
    record(pools, "192.0.2.47", "w1")
    record(pools, "2001:db8::4a", "w1")

    planned = pools("plan", "w1")
    listed = pools.printed("host", "list").splitlines()
    shown = pools.printed("host", "show", "w1")

    assert "note: " not in planned.stderr
    assert "192.0.2.47" in planned.stdout
    assert [line.split("\t")[-1] for line in listed] == ["ADDRESS", "192.0.2.40", "192.0.2.47"]
    assert "address 192.0.2.47/24" in shown
    assert "address6 2001:db8::4a/64" in shown
    assert "pool rack1" in shown
    assert pools.json("check", status=1)["notes"][0] == (
        "not recorded yet, the daemon records them at its start or a reload: cp1 192.0.2.40, cp1 2001:db8::40"
    )


def test_plan_and_check_note_addresses_that_are_not_recorded_and_plan_makes_no_store(pools: CommandLine):
    planned = pools("plan")

    assert f"note: {NOTE}" in planned.stderr.splitlines()
    assert not (pools.directory / "netboot.db").exists()
    assert NOTE in pools.json("check", status=1)["notes"]


def test_records_that_cannot_be_read_are_noted(pools: CommandLine):
    (pools.directory / "netboot.db").write_bytes(b"this is not a database" * 100)

    planned = pools("plan", "w1")

    assert planned.exit_code == 0
    assert planned.stderr.splitlines()[0].replace(str(pools.directory), ".") == (
        "note: the addresses of pools may be others, because those on record cannot be read: cannot read ./netboot.db: "
        "file is not a database; restore a backup, or correct store.url"
    )
