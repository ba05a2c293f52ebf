"""Which hosts are counted as not ready, and when the secrets of their Ignition files end."""

import asyncio
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures.services import BuiltServices, WithServices

from netboot.app import armed_content
from netboot.app.armed_content import ArmedContent
from netboot.errors import DescriptorsError
from netboot.model.host.host import HostName
from netboot.model.release import EntryKind, EntryName


def watch(services: BuiltServices, content: Path) -> ArmedContent:
    return ArmedContent(
        services.registry,
        services.install_moves,
        events=services.event_bus,
        content=content,
        now=services.clock.now,
    )


async def not_ready(files: ArmedContent) -> dict[str, float]:
    """Look at the files now; count the hosts that lack something, by whether they are armed."""
    await files.check()
    return {reading.labels[0]: reading.value for reading in files.readings() if reading.gauge == "hosts_not_ready"}


@pytest.mark.parametrize(
    "change",
    [
        {"boot_media": None},
        {"release": None},
        {"disk": None},
        {"ignition": None},
        {"release": "ock-9"},
        {"boot_media": "ol99"},
        {"ignition": Path("/nowhere/worker.ign")},
        {"ignition": Path(__file__)},  # no Ignition file
        {"faults": ("its loader is faulty",)},
    ],
    ids=str,
)
def test_a_host_that_lacks_something_is_counted_also_if_it_is_not_armed(
    with_services: WithServices, content: Path, change: dict[str, object]
):
    async def scenario(services: BuiltServices) -> list[dict[str, float]]:
        files = watch(services, content)
        found = [await not_ready(files)]
        services.change_host("w1", **change)
        found.append(await not_ready(files))
        await services.install_moves.arm_all([HostName("w1")], reason="a test", attempts=1)
        return [*found, await not_ready(files)]

    assert with_services(scenario) == [{"false": 0, "true": 0}, {"false": 1, "true": 0}, {"false": 0, "true": 1}]


def test_the_time_until_the_first_secret_of_each_kind_ends_is_read_and_a_host_whose_secret_ended_is_not_ready(
    with_services: WithServices, content: Path, tmp_path: Path
):
    async def scenario(services: BuiltServices) -> tuple[dict[tuple[str, ...], float], dict[str, float]]:
        taken_at = services.clock.now() - timedelta(hours=25)
        os.utime(tmp_path / "ign" / "worker-join.ign", (taken_at.timestamp(),) * 2)
        files = watch(services, content)
        counts = await not_ready(files)
        readings = {reading.labels: reading.value for reading in files.readings() if len(reading.labels) == 2}
        return readings, counts

    readings, counts = with_services(scenario)

    assert readings == {("worker", "bootstrap token"): -3600.0}
    assert counts == {"false": 1, "true": 0}


def test_content_that_was_not_read_again_for_lack_of_a_descriptor_is_read_at_the_next_turn(
    with_services: WithServices, content: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(armed_content, "CHECK_S", 0.01)
    entries = [(EntryKind.MEDIUM, "ol8u10-x86_64"), (EntryKind.RELEASE, "ock-9")]

    async def scenario(services: BuiltServices) -> list[EntryName]:
        files, tried, done = watch(services, content), list[EntryName](), asyncio.Event()

        async def rescan(entry: EntryName) -> None:
            tried.append(entry)
            if len(tried) in (1, 3):
                raise DescriptorsError
            if len(tried) == 4:
                done.set()

        await services.install_moves.arm_all([HostName("w1")], reason="a test", attempts=1)
        await files.check()
        services.change_host("w1", release="ock-9")
        running = asyncio.create_task(files.run(rescan))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await done.wait()
        finally:
            running.cancel()
        return tried

    assert with_services(scenario) == [entries[0], *entries, entries[1]]
