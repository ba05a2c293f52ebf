"""The boots that an operator sees: from the store, and from the memory of a running daemon with their progress."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from netboot.admin.json_views import json_view
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.boot.sessions.learned_durations import LearnedDurations
from netboot.errors import UnknownHostError
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.boot_record import BootEnd, BootRecord, BootStep
from netboot.model.boot.expected_durations import Wait, default_of
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.operate.boots.boot_history import BootHistory, NoBootError, ShownBoot
from netboot.operate.boots.boot_waits import BootWaits, WaitStatus
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CP1, MAC, OTHER = HostName("cp1"), Mac("52:54:00:aa:bb:01"), Mac("52:54:00:aa:bb:99")
PROGRESS = BootProgress(Step.KERNEL, "vmlinuz", 40, 100, 40, 10.0, 6.0)
ENDED = BootRecord(CP1, MAC, NOW - timedelta(hours=9), NOW - timedelta(hours=8), end=BootEnd.READY, ended_at=NOW)
RUNNING = BootRecord(CP1, MAC, NOW, NOW, steps=(BootStep(Step.OFFER, NOW, NOW),))
UNREGISTERED = replace(RUNNING, host=None, mac=OTHER)
WAIT = WaitStatus(Wait(Step.LOADER, NOW, default_of(Step.LOADER, LoaderKind.UNKNOWN)), is_overdue=False)


def progress_of(mac: Mac) -> BootProgress | None:
    return PROGRESS if mac == MAC else None


async def known(name: str) -> HostName | Mac:
    if name == OTHER:
        return OTHER
    if name != CP1:
        raise UnknownHostError(f"no host is called {name}")
    return CP1


def found(sqlite_url: str, work: Any, *, has_daemon: bool, kept: tuple[BootRecord, ...]) -> Any:
    async def scenario() -> Any:
        database = await Database.open(sqlite_url)
        try:
            boots = Boots(database)
            recorder = BootRecorder(boots)
            for boot in kept:
                boots.keep(boot)
            await boots.flush()
            progress = progress_of if has_daemon else None
            if has_daemon:
                await recorder.load(NOW)
                recorder.event_happened(Event("boot.loader_sent", NOW, CP1, MAC, Step.LOADER), logging.INFO)
            waits = BootWaits(boots, LearnedDurations(boots), lambda: NOW)
            return await work(BootHistory(recorder, waits, known, progress=progress, now=lambda: NOW))
        finally:
            await database.close()

    return asyncio.run(scenario())


def test_without_a_daemon_the_boots_are_those_in_the_store(sqlite_url: str):
    async def work(history: BootHistory) -> object:
        return await history.all("cp1"), await history.all(OTHER), await history.running()

    assert found(sqlite_url, work, has_daemon=False, kept=(ENDED, RUNNING, UNREGISTERED)) == (
        [ShownBoot(ENDED, 1, 2), ShownBoot(RUNNING, 2, 2, wait=WAIT)],
        [ShownBoot(UNREGISTERED, 1, 1, wait=WAIT)],
        [ShownBoot(RUNNING, wait=WAIT), ShownBoot(UNREGISTERED, wait=WAIT)],
    )


def test_the_daemon_has_the_running_boots_in_memory_and_their_progress(sqlite_url: str):
    async def work(history: BootHistory) -> list[Any]:
        return [await history.show("cp1"), (await history.running())[0], await history.show("cp1", boot=1)]

    last, running, first = found(sqlite_url, work, has_daemon=True, kept=(ENDED, RUNNING, UNREGISTERED))

    assert [[each.step for each in shown.record.steps] for shown in (last, running)] == [[Step.OFFER, Step.LOADER]] * 2
    assert (last.number, last.boots, last.progress, running.number, running.progress) == (
        2,
        2,
        PROGRESS,
        None,
        PROGRESS,
    )
    assert first == ShownBoot(ENDED, 1, 2)


def test_a_boot_that_is_not_stored_yet_is_shown(sqlite_url: str):
    async def work(history: BootHistory) -> Any:
        return await history.all("cp1")

    [shown] = found(sqlite_url, work, has_daemon=True, kept=())

    assert [each.step for each in shown.record.steps] == [Step.LOADER]


@pytest.mark.parametrize(
    ("boot", "why"),
    [
        (3, "no boot 3 of cp1 is kept; there are 2: netboot install history cp1 --boots"),
        (-2, "no boot -2 of cp1 is kept; there are 2: netboot install history cp1 --boots"),
    ],
)
def test_a_boot_that_is_not_kept_is_refused(sqlite_url: str, boot: int, why: str):
    async def work(history: BootHistory) -> None:
        await history.show("cp1", boot=boot)

    with pytest.raises(NoBootError) as refused:
        found(sqlite_url, work, has_daemon=False, kept=(ENDED, RUNNING))

    assert (str(refused.value), refused.value.code) == (why, "boot-unknown")


def test_a_machine_without_a_boot_and_an_unknown_one_are_refused(sqlite_url: str):
    async def none(history: BootHistory) -> None:
        await history.show("cp1")

    async def unknown(history: BootHistory) -> None:
        await history.all("nosuch")

    with pytest.raises(NoBootError, match="no boot of cp1 is kept; there are none"):
        found(sqlite_url, none, has_daemon=False, kept=())
    with pytest.raises(UnknownHostError):
        found(sqlite_url, unknown, has_daemon=False, kept=())


@pytest.mark.parametrize("has_daemon", [True, False])
def test_a_boot_without_a_sign_for_hours_waits_for_nothing(sqlite_url: str, has_daemon: bool):
    began = NOW - timedelta(hours=5)
    old = replace(RUNNING, mac=OTHER, host=None, began_at=began, last_at=began)

    async def work(history: BootHistory) -> Any:
        return json_view(await history.show(OTHER))

    view = found(sqlite_url, work, has_daemon=has_daemon, kept=(old,))

    assert (view["inactive"], view["waits_for"], view["end"]) == (True, None, None)


def test_the_json_of_a_boot_has_what_it_waits_for_and_its_rates():
    step = BootStep(Step.KERNEL, NOW, NOW, 2.0, bytes=100, sent_s=2.0, retries=1, detail="vmlinuz")
    record = replace(RUNNING, steps=(step,), skipped=frozenset({Step.STAGE2, Step.IGNITION}))

    view = json_view(ShownBoot(record, 2, 2, PROGRESS))

    assert (view["host"], view["mac"], view["number"], view["boots"]) == ("cp1", MAC, 2, 2)
    assert (view["waits_for"], view["retries"], view["skipped"]) == (None, 1, ["ignition", "stage2"])
    assert view["steps"] == [
        {
            "step": "kernel",
            "at": NOW.isoformat(),
            "last_at": NOW.isoformat(),
            "took_s": 2.0,
            "bytes": 100,
            "sent_s": 2.0,
            "retries": 1,
            "percent": None,
            "detail": "vmlinuz",
            "bytes_per_s": 50.0,
        }
    ]
    assert view["progress"] == {
        "step": "kernel",
        "name": "vmlinuz",
        "bytes": 40,
        "size_bytes": 100,
        "percent": 40,
        "bytes_per_s": 10.0,
        "seconds_left": 6.0,
    }
