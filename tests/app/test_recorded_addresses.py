"""What commands without a daemon read of the addresses that hosts have from pools, and what they note about it."""

import asyncio
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from netboot.app.recorded_addresses import RecordedFiles, read_files
from netboot.errors import ConfigError
from netboot.model.host.address_pool import Allocation
from netboot.model.host.host import HostName
from netboot.store.allocations import Allocations
from netboot.store.database import Database

POOL = "address_pools: {p: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.99}}\n"
NOT_RECORDED = "not recorded yet, the daemon records them at its start or a reload: "


def read(directory: Path, store_url: str, *, hosts: int, pool: str = POOL) -> RecordedFiles:
    (directory / "netboot.yaml").write_text(f"network: {{interfaces: [eno2]}}\nstore: {{url: '{store_url}'}}\n")
    named = "defaults: {network: {pool: p}}\n" if pool else ""
    lines = "".join(f"  w{n}: {{role: worker, mac: 52:54:00:00:00:{n:02x}}}\n" for n in range(hosts))
    (directory / "hosts.yaml").write_text(f"{pool}{named}hosts:\n{lines}")
    return asyncio.run(read_files(directory / "netboot.yaml"))


def record(store_url: str, address: str, host: str) -> None:
    async def recorded() -> None:
        database = await Database.open(store_url)
        allocation = Allocation(ip_address(address), HostName(host))
        await Allocations(database).record([allocation], at=datetime(2026, 11, 29, tzinfo=UTC))
        await database.close()

    asyncio.run(recorded())


def notes(files: RecordedFiles, *hosts: str) -> list[str]:
    configuration = files.load()
    return files.notes(configuration.allocations, set(map(HostName, hosts)) or configuration.hosts.hosts.keys())


def test_recorded_addresses_are_read_from_the_store_and_others_are_noted(store_url: str, tmp_path: Path):
    record(store_url, "192.0.2.77", "w1")

    files = read(tmp_path, store_url, hosts=8)

    assert [str(host.network.address) for host in files.load().hosts][:3] == [
        "192.0.2.40/24",
        "192.0.2.77/24",
        "192.0.2.41/24",
    ]
    assert notes(files, "w1") == []
    assert notes(files, "w1", "w2") == [f"{NOT_RECORDED}w2 192.0.2.41"]
    assert notes(files) == [
        f"{NOT_RECORDED}w0 192.0.2.40, w2 192.0.2.41, w3 192.0.2.42, w4 192.0.2.43, w5 192.0.2.44 and 2 more"
    ]


def test_the_store_of_files_without_pools_is_not_read(tmp_path: Path):
    files = read(tmp_path, "postgresql+asyncpg://nobody@localhost:1/none", hosts=1, pool="")

    assert notes(files) == []


def test_a_server_that_cannot_be_reached_is_noted_for_the_hosts_that_take_from_a_pool(tmp_path: Path):
    files = read(tmp_path, "postgresql+asyncpg://nobody@localhost:1/none", hosts=1)

    [note] = notes(files)
    assert note.startswith("the addresses of pools may be others, because those on record cannot be read: the store ")
    assert notes(files, "another") == []


def test_files_with_a_fault_are_refused_with_every_fault(sqlite_url: str, tmp_path: Path):
    files = read(tmp_path, sqlite_url, hosts=61)

    with pytest.raises(ConfigError, match="has no address left for w60"):
        files.load()
