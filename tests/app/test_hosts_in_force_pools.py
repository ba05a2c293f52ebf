"""Addresses of pools are recorded before their hosts are in force, also by two daemons on one store."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from netboot.app.hosts_in_force import HostsInForce
from netboot.registry.load import Configuration
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.allocations import Allocations
from netboot.store.database import Database
from netboot.store.nodes.installed_nodes import Nodes
from netboot.store.served_documents import ServedDocuments

AT = datetime(2026, 11, 29, tzinfo=UTC)
POOL = "address_pools: {p: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.99}}\n"


def config(directory: Path, hosts: list[str], *, more: str = "") -> Path:
    """Write a configuration whose hosts all take from one pool."""
    directory.mkdir(exist_ok=True)
    (directory / "netboot.yaml").write_text("network: {interfaces: [eno2]}\n")
    lines = "".join(
        f"  {name}: {{role: worker, mac: 52:54:00:00:{ord(name[0]):02x}:{int(name[1:]):02x}}}\n" for name in hosts
    )
    (directory / "hosts.yaml").write_text(
        f"{POOL}defaults: {{network: {{pool: p}}}}\nhosts:\n{lines}{more}", encoding="utf-8"
    )
    return directory / "netboot.yaml"


def hosts_in_force(database: Database) -> HostsInForce:
    return HostsInForce(
        AcceptedFiles(database), Allocations(database), ServedDocuments(database), Nodes(database), now=lambda: AT
    )


def addresses(configuration: Configuration) -> dict[str, str]:
    return {host.name: str(host.network.address and host.network.address.ip) for host in configuration.hosts}


def test_new_addresses_are_recorded_once_and_logged(store_url: str, tmp_path: Path):
    path = config(tmp_path / "box", ["w1", "w2"])

    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            allocations, hosts = Allocations(database), hosts_in_force(database)
            with capture_logs() as logged:
                for _ in range(2):
                    await hosts.read(path)

            assert [line for line in logged if line["event"] == "config.addresses_allocated"] == [
                {
                    "event": "config.addresses_allocated",
                    "log_level": "info",
                    "count": 2,
                    "addresses": ["w1 192.0.2.40", "w2 192.0.2.41"],
                }
            ]
            recorded = await allocations.all()
            assert [(str(each.address), each.host, each.at) for each in recorded.values()] == [
                ("192.0.2.40", "w1", AT),
                ("192.0.2.41", "w2", AT),
            ]
        finally:
            await database.close()

    asyncio.run(scenario())


def test_two_daemons_that_record_at_the_same_time_give_no_address_twice(store_url: str, tmp_path: Path):
    boxes = [config(tmp_path / name, [f"{name}{n}" for n in range(20)]) for name in ("a", "b")]

    async def scenario() -> None:
        databases = [await Database.open(store_url) for _ in boxes]
        try:
            built = await asyncio.gather(
                *(hosts_in_force(database).read(box) for box, database in zip(boxes, databases, strict=True))
            )

            given = {name: address for each in built for name, address in addresses(each).items()}
            recorded = await Allocations(databases[0]).all()
            assert len(set(given.values())) == len(given) == 40
            assert given == {each.host: str(each.address) for each in recorded.values()}
        finally:
            for database in databases:
                await database.close()

    asyncio.run(scenario())


def test_a_faulty_file_records_nothing_and_the_accepted_hosts_keep_their_addresses(store_url: str, tmp_path: Path):
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            allocations, hosts = Allocations(database), hosts_in_force(database)
            sound = await hosts.read(config(tmp_path / "box", ["w2", "w1"]))
            await hosts.keep_accepted(sound, forgets=True)

            path = config(tmp_path / "box", ["w0", "w1", "w2"], more="  w3: {role: wroker}\n")
            faulty = await hosts.read(path)
            used = await hosts.at_start(faulty)

            assert addresses(used) == addresses(sound) == {"w2": "192.0.2.40", "w1": "192.0.2.41"}
            assert {each.host for each in (await allocations.all()).values()} == {"w1", "w2"}
            offline = await hosts.last_accepted(faulty)
            assert offline is not None
            assert addresses(offline) == addresses(sound)
        finally:
            await database.close()

    asyncio.run(scenario())


def test_at_a_first_start_the_addresses_of_the_hosts_without_a_fault_are_recorded(store_url: str, tmp_path: Path):
    path = config(tmp_path / "box", ["w1"], more="  w3: {role: wroker, mac: 52:54:00:00:00:33}\n")

    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            allocations, hosts = Allocations(database), hosts_in_force(database)
            faulty = await hosts.read(path)
            assert await allocations.all() == {}

            used = await hosts.at_start(faulty)

            assert addresses(used) == {"w1": "192.0.2.40"}
            assert [each.host for each in (await allocations.all()).values()] == ["w1"]
        finally:
            await database.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ["hosts: {}\n", "hosts: {w1: {role: worker, mac: 52:54:00:00:00:01}}\n"])
def test_files_without_pools_do_not_read_the_store(sqlite_url: str, tmp_path: Path, text: str):
    path = config(tmp_path / "box", [])
    (tmp_path / "box" / "hosts.yaml").write_text(text)

    async def scenario() -> None:
        database = await Database.open(sqlite_url)
        await database.close()
        (tmp_path / "netboot.db").write_bytes(b"no database" * 1000)

        assert (await hosts_in_force(database).read(path)).faults == ()

    asyncio.run(scenario())
