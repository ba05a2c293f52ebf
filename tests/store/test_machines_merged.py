"""Two appliances store what each has seen of the same machines: no write loses what the other stored."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest

from netboot.model.boot.boot_client import Machine
from netboot.model.host.firmware import LocalBoot, LocalBootMethod
from netboot.model.host.mac import Mac
from netboot.store.database import Database
from netboot.store.machines import Machines
from netboot.store.shared.merged_machine import merged

NOW = datetime(2026, 11, 21, tzinfo=UTC)
A, B, C, D, E = (IPv4Address(f"192.0.2.{number}") for number in range(51, 56))
KNOWN = Machine(Mac("52:54:00:aa:bb:01"), NOW, NOW, "x64-uefi", "PXEClient", addresses=(A, B), variants={"pxe": "one"})
HERE, THERE = LocalBoot(LocalBootMethod.EXIT), LocalBoot(LocalBootMethod.SANBOOT)
LATER = NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        pytest.param({"addresses": (A, B, C)}, {"addresses": (A, B, D)}, {"addresses": (A, B, C, D)}, id="both added"),
        pytest.param({"addresses": (A, B, C)}, {"addresses": (B,)}, {"addresses": (B, C)}, id="we took one away"),
        pytest.param({"addresses": (A, B, C)}, {"addresses": (B, A)}, {"addresses": (B, C, A)}, id="used again"),
        pytest.param({"addresses": (B, C, D, E)}, {"addresses": (A, B)}, {"addresses": (B, C, D, E)}, id="unchanged"),
        pytest.param(
            {"variants": {"pxe": "one", "http": "two"}},
            {"variants": {"pxe": "three"}},
            {"variants": {"pxe": "three", "http": "two"}},
            id="learned of two firmwares",
        ),
        pytest.param(
            {"local_boots": {"pxe": HERE}},
            {"local_boots": {"http": THERE}},
            {"local_boots": {"pxe": HERE, "http": THERE}},
            id="own disks of two firmwares",
        ),
        pytest.param({"variants": {"pxe": "two"}}, {"variants": {}}, {"variants": {}}, id="no longer learned"),
        pytest.param(
            {"last_seen": LATER, "uuid": "00"},
            {"arch": "bios", "last_seen": NOW},
            {"last_seen": LATER, "uuid": "00", "arch": "bios"},
            id="other columns",
        ),
    ],
)
def test_what_we_changed_is_added_to_what_they_stored(
    theirs: dict[str, object], ours: dict[str, object], expected: dict[str, object]
):
    stored, after = replace(KNOWN, **theirs), replace(KNOWN, **ours)  # type: ignore[arg-type] - columns of a machine

    assert merged(stored, KNOWN, after) == replace(KNOWN, **expected)  # type: ignore[arg-type] - as above


def test_machines_that_two_appliances_store_at_once_have_what_both_have_seen(store_url: str):
    macs = [Mac.from_bytes((0x020000000000 + number).to_bytes(6, "big")) for number in range(300)]

    async def store(address: IPv4Address, order: list[Mac]) -> None:
        database = await Database.open(store_url)
        machines = Machines(database)
        for mac in order:
            machines.keep(replace(KNOWN, mac=mac, addresses=(address,)))
        await machines.flush()
        assert machines.waiting_count == 0
        await database.close()

    async def scenario() -> set[frozenset[IPv4Address]]:
        database = await Database.open(store_url)
        await asyncio.gather(store(A, macs), store(B, macs[::-1]))
        stored = await Machines(database).all()
        await database.close()
        assert len(stored) == len(macs)
        return {frozenset(each.addresses) for each in stored.values()}

    assert asyncio.run(scenario()) == {frozenset({A, B})}
