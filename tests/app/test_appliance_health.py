"""The checks of store and content directory: true, shared by all clients, and bounded in time."""

import asyncio
import re
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from netboot.app import appliance_health
from netboot.app.appliance_health import ApplianceHealth
from netboot.errors import StoreError
from netboot.store import database as database_module
from netboot.store import tables
from netboot.store.database import Database
from netboot.telemetry.health import Health, HealthPart, PartState

KNOWN = HealthPart("dhcp", "s0:67")


def in_health(url: str, content: Path, scenario: Callable[[ApplianceHealth, Database], Awaitable[object]]) -> object:
    async def run() -> object:
        database = await Database.open(url)
        health = ApplianceHealth(database, content, known=lambda: [KNOWN])
        try:
            return await scenario(health, database)
        finally:
            await health.close()
            await database.close()

    return asyncio.run(run())


def test_a_store_that_answers_and_a_directory_that_can_be_written_are_ok(store_url: str, tmp_path: Path):
    found = in_health(store_url, tmp_path, lambda health, _: health.check())

    assert found == Health([HealthPart("store"), HealthPart("content"), HealthPart("descriptors"), KNOWN])


def test_a_content_directory_that_does_not_exist_yet_is_empty(sqlite_url: str, tmp_path: Path):
    found = in_health(sqlite_url, tmp_path / "content", lambda health, _: health.check())

    assert found == Health([HealthPart("store"), HealthPart("content"), HealthPart("descriptors"), KNOWN])


def test_a_content_directory_that_cannot_be_read_has_failed(sqlite_url: str, tmp_path: Path):
    (tmp_path / "content").write_text("no directory")

    found = in_health(sqlite_url, tmp_path / "content", lambda health, _: health.check())

    assert isinstance(found, Health)
    content = found.parts[1]
    assert (content.state, len(content.reasons)) == (PartState.FAILED, 1)
    assert content.reasons[0].startswith(f"cannot read {tmp_path}/content: Not a directory; ")


def test_a_full_disk_of_content_is_degraded_with_its_cure(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(appliance_health, "FREE_BYTES", 1 << 60)

    found = in_health(sqlite_url, tmp_path, lambda health, _: health.check())

    assert isinstance(found, Health)
    full = f"cannot write below {tmp_path}: No space left on device; the file system is full: "
    cure = "netboot content gc, remove a release, or enlarge it"
    assert found.parts[1] == HealthPart("content", "", PartState.DEGRADED, (full + cure,))


def test_a_store_that_is_slow_is_degraded_for_a_while(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database_module, "SLOW_SHOWN_S", 2.0)
    monkeypatch.setattr(appliance_health, "FRESH_S", 0.0)

    async def check(health: ApplianceHealth, database: Database) -> tuple[Health, Health, Health]:
        before = await health.check()
        with monkeypatch.context() as patch:
            patch.setattr(database_module, "SLOW_S", 0.1)
            async with database.transaction():
                await asyncio.sleep(0.2)
        slow = found = await health.check()
        async with asyncio.timeout(10):
            while found == slow:
                await asyncio.sleep(0.05)
                found = await health.check()
        return before, slow, found

    found = in_health(store_url, tmp_path, check)

    assert isinstance(found, tuple)
    before, slow, after = (each.parts[0] for each in found)
    assert (before, after) == (HealthPart("store"), HealthPart("store"))
    assert slow.state is PartState.DEGRADED
    assert re.fullmatch(
        r"the store is slow: a transaction took \d\.\d s; check the load of its disk, or of its server .*",
        slow.reasons[0],
    )


def test_descriptors_that_are_nearly_exhausted_are_degraded_with_their_cure(sqlite_url: str, tmp_path: Path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def check(health: ApplianceHealth, _: Database) -> Health:
        used = len(list(Path("/proc/self/fd").iterdir()))  # noqa: ASYNC240 - nothing else runs
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, limits[1]))
        try:
            return await health.check()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    found = in_health(sqlite_url, tmp_path, check)

    assert isinstance(found, Health)
    part = found.parts[2]
    assert (part.part, part.state) == ("descriptors", PartState.DEGRADED)
    assert re.fullmatch(
        r"the daemon uses \d+ of its \d+ descriptors; "
        "set LimitNOFILE=65536 in its unit, or find who holds many connections: ss -tn",
        part.reasons[0],
    )


def test_a_hanging_store_delays_no_answer_and_is_queried_once(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(appliance_health, "ANSWER_S", 0.2)
    pings = 0

    async def hang() -> None:
        nonlocal pings
        pings += 1
        await asyncio.sleep(30)

    async def scenario(health: ApplianceHealth, database: Database) -> tuple[list[Health], float, float]:
        monkeypatch.setattr(database, "ping", hang)
        began = time.monotonic()
        together = await asyncio.gather(*(health.check() for _ in range(50)))
        first = time.monotonic()
        later = await health.check()
        return [*together, later], first - began, time.monotonic() - first

    found, first_s, later_s = in_health(sqlite_url, tmp_path, scenario)  # type: ignore[misc]

    cure = "check the load of its disk, or of its server and the network to it"
    reason = f"the check of the store did not end within 0.2 s; {cure}"
    assert {health.parts[0] for health in found} == {HealthPart("store", "", PartState.FAILED, (reason,))}
    assert (pings, first_s < 2, later_s < 0.2) == (1, True, True)


def test_the_result_is_used_for_a_moment_and_then_checked_again(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def fail() -> None:
        raise StoreError("the store failed: start the database server")

    async def scenario(health: ApplianceHealth, database: Database) -> list[PartState]:
        states = [(await health.check()).parts[0].state]
        monkeypatch.setattr(database, "ping", fail)
        states.append((await health.check()).parts[0].state)
        monkeypatch.setattr(appliance_health, "FRESH_S", 0.0)
        states.append((await health.check()).parts[0].state)
        return states

    assert in_health(sqlite_url, tmp_path, scenario) == [PartState.OK, PartState.OK, PartState.FAILED]


def test_a_store_that_can_be_read_but_not_written_has_failed_until_a_write_succeeds(sqlite_url: str, tmp_path: Path):
    async def write(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute(tables.events.insert(), [{"at": "now", "name": "a.event", "data": {}}])

    async def scenario(health: ApplianceHealth, database: Database) -> list[PartState]:
        async with database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE events RENAME TO elsewhere")
        with pytest.raises(StoreError):
            await write(database)
        states = [(await health.check()).parts[0].state]
        async with database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO events")
        await asyncio.sleep(appliance_health.FRESH_S)
        return [*states, (await health.check()).parts[0].state]

    assert in_health(sqlite_url, tmp_path, scenario) == [PartState.FAILED, PartState.OK]
