"""A step of a running boot that does not come in time is one event: not sooner, not twice, and not without a cause."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fixtures.watched_boots import HOST, WatchedBoots

from netboot.app.running.lasting_work import lasting
from netboot.errors import StoreError
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.expected_durations import FEWEST_BOOTS, default_of
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.boot.reasons import explain
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step

CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
UEFI = LoaderKind.IPXE_UEFI
S = Step


def limit_s(step: Step) -> float:
    return default_of(step, UEFI).limit_s


def test_a_step_that_does_not_come_is_one_event_with_what_is_expected(with_watched_boots: Callable[..., Any]):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        began = boots.clock.now()
        assert await boots.wait(limit_s(S.LOADER)) == []
        assert boots.overdue_count == 0
        assert await boots.wait(3 * 3600) == [("cp1", "loader")]
        assert boots.overdue_count == 1
        [event] = boots.found
        expected = {"waits_for": "loader", "expected_s": 5, "limit_s": 120, "boots": 0}
        cause = ("cause", "severity", "sentence", "cure", "evidence")
        assert {key: event.data[key] for key in event.data if key not in cause} == {
            **expected,
            "since": began.isoformat(),
        }
        assert [event.data[key] for key in cause[:3]] == [
            "no-loader",
            "error",
            "cp1 was offered snponly.efi, and does not fetch it",
        ]
        assert str(event.data["evidence"]).splitlines() == [
            "00:16:40 UTC boot.offered: kind loader, boot_file snponly.efi",
            "waits for loader since 00:16:40 UTC, longer than 120 s",
        ]
        assert (event.host, event.mac, event.step) == (CP1, MAC, None)
        explained = explain(event.name, event.data, host="cp1")
        assert explained is not None
        assert str(explained) == (
            "cp1 waits for the transfer of the loader since 00:16:40 UTC, longer than it takes here "
            "(usually 5 s, at most 2 min; the default): cp1 was offered snponly.efi, and does not fetch it; "
            f"{event.data['cure']}"
        )
        assert await boots.wait(2 * 3600) == []
        assert boots.overdue_count == 0  # it was switched off

    with_watched_boots(scenario)


def test_a_step_that_comes_late_ends_the_wait_and_the_next_one_is_watched(with_watched_boots: Callable[..., Any]):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        assert await boots.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]
        boots.reaches(S.LOADER, "boot.loader_sent")
        assert boots.overdue_count == 0
        assert await boots.wait(limit_s(S.SCRIPT)) == []
        assert await boots.wait(10) == [("cp1", "script")]
        boots.boot()
        assert await boots.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]  # another boot

    with_watched_boots(scenario)


def test_a_limit_that_was_learned_here_is_in_force(with_watched_boots: Callable[..., Any]):
    async def first(boots: WatchedBoots) -> None:
        for _ in range(FEWEST_BOOTS):
            boots.boot()
            assert await boots.wait(3) == []
            boots.reaches(S.LOADER, "boot.loader_sent")
        boots.boot()
        assert await boots.wait(69) == []
        assert await boots.wait(10) == [("cp1", "loader")]

    async def again(boots: WatchedBoots) -> None:
        boots.boot()
        assert await boots.wait(69) == []
        assert await boots.wait(10) == [("cp1", "loader")]
        assert boots.found[0].data["boots"] == FEWEST_BOOTS

    with_watched_boots(first, again)


def test_after_a_restart_no_event_is_repeated_and_the_time_before_it_does_not_count(
    with_watched_boots: Callable[..., Any],
):
    async def first(boots: WatchedBoots) -> None:
        boots.boot()
        assert await boots.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]

    async def second(boots: WatchedBoots) -> None:
        assert await boots.wait(600) == []
        boots.reaches(S.LOADER, "boot.loader_sent")
        assert await boots.wait(limit_s(S.SCRIPT) - 10) == []

    async def third(boots: WatchedBoots) -> None:
        assert await boots.wait(limit_s(S.SCRIPT)) == []
        assert await boots.wait(10) == [("cp1", "script")]

    with_watched_boots(first, second, third)


def test_the_time_before_the_clock_was_set_does_not_count(with_watched_boots: Callable[..., Any]):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        assert await boots.wait(10) == []
        wrong = boots.clock.monotonic
        boots.watch._clock.monotonic = lambda: wrong() - 3600  # type: ignore[misc]
        boots.clock.pass_(3600)
        assert await boots.wait(limit_s(S.LOADER)) == []
        assert await boots.wait(10) == [("cp1", "loader")]

    with_watched_boots(scenario)


def test_unregistered_machines_and_boots_that_wait_for_an_operator_are_never_overdue(
    with_watched_boots: Callable[..., Any],
):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot(host=None)
        assert await boots.wait(1000) == []
        boots.boot()
        boots.reaches(S.LOADER, "boot.loader_sent")
        boots.script("wait", reason="not-ready")
        assert await boots.wait(1000) == []
        boots.script("install", S.SCRIPT)
        boots.reaches(S.KERNEL)
        boots.reaches(S.INITRD)
        boots.reaches(None, "boot.document_held_back", document="kickstart", reason="no release")
        assert await boots.wait(1000) == []
        boots.reaches(S.KICKSTART, "boot.kickstart_served")
        assert await boots.wait(limit_s(S.STAGE2) + 10) == [("cp1", "stage2")]

    with_watched_boots(scenario)


def test_the_end_of_a_boot_is_not_overdue_while_its_host_is_held_by_a_rollout(
    with_watched_boots: Callable[..., Any],
):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        boots.script("install", S.SCRIPT)
        boots.reaches(S.IGNITION, "boot.ignition_served")
        boots.held.add("cp1")
        assert await boots.wait(limit_s(S.READY) * 2) == []

        boots.held.clear()
        assert await boots.wait(2) == [("cp1", "ready")]

    with_watched_boots(scenario)


def test_a_host_that_is_renamed_or_removed_while_it_boots_is_not_overdue(with_watched_boots: Callable[..., Any]):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        boots.hosts = [replace(HOST, name=HostName("cp9"))]
        boots.reaches(S.SCRIPT, "boot.script_served", "cp9", plan="install")
        assert await boots.wait(limit_s(S.KERNEL) + 10) == [("cp9", "kernel")]
        assert boots.overdue_count == 1
        boots.hosts = []
        assert await boots.wait(1000) == []
        assert boots.overdue_count == 0

    with_watched_boots(scenario)


@pytest.mark.parametrize("back_s", [30, 7200])
def test_after_the_clock_was_set_back_an_overdue_step_is_an_event(with_watched_boots: Callable[..., Any], back_s: int):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        assert await boots.wait(100) == []
        boots.reaches(S.LOADER, "boot.loader_sent")
        monotonic = boots.clock.monotonic
        boots.watch._clock.monotonic = lambda: monotonic() + back_s  # type: ignore[misc]
        boots.clock.pass_(-back_s)
        boots.boot()
        assert await boots.wait(limit_s(S.LOADER)) == []
        assert await boots.wait(10) == [("cp1", "loader")]

    with_watched_boots(scenario)


def test_a_host_that_boots_its_own_disk_or_has_ended_its_install_is_never_overdue(
    with_watched_boots: Callable[..., Any],
):
    async def scenario(boots: WatchedBoots) -> None:
        boots.reaches(S.LOCAL_BOOT, "boot.offered", kind="local-disk", boot_file=None)
        assert await boots.wait(1000) == []
        boots.boot()
        boots.script("install", S.SCRIPT)
        boots.reaches(S.FAILED, "install.moved", by="reported-failed", note="no space left")
        assert await boots.wait(1000) == []

    with_watched_boots(scenario)


def test_a_pull_that_proceeds_is_overdue_as_a_whole_and_not_between_its_parts(with_watched_boots: Callable[..., Any]):
    async def scenario(boots: WatchedBoots) -> None:
        boots.script("install", S.SCRIPT)
        boots.reaches(S.INSTALLING, "install.moved", by="reported-started")
        for percent in range(5, 55, 5):
            assert await boots.wait(200) == []
            boots.reaches(S.OSTREE, "boot.content_pulled", percent=percent)
        assert await boots.wait(limit_s(S.OSTREE) - 2000) == []
        assert await boots.wait(10) == [("cp1", "ostree")]
        boots.reaches(S.OSTREE, "boot.content_pulled", percent=100)
        assert await boots.wait(limit_s(S.POST)) == []
        assert await boots.wait(10) == [("cp1", "post")]

    with_watched_boots(scenario)


@pytest.mark.parametrize("ahead_s", [0, 2], ids=["the packets came at once", "it received them earlier"])
def test_a_boot_that_goes_on_at_another_appliance_on_the_same_store_is_not_overdue(
    with_watched_boots: Callable[..., Any], ahead_s: int
):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        began = boots.clock.now()
        assert await boots.wait(10) == []
        began -= timedelta(seconds=ahead_s)
        elsewhere = BootRecord(CP1, Mac("52:54:00:aa:bb:02"), began, began + timedelta(seconds=7))
        boots.boots.keep(elsewhere)
        await boots.boots.flush()
        assert await boots.wait(limit_s(S.LOADER) + 10) == []

    with_watched_boots(scenario)


def test_of_two_appliances_that_wait_for_the_same_step_one_reports_it(with_watched_boots: Callable[..., Any]):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        await boots.boots.flush()
        (stored,) = await boots.boots.of_host(CP1)
        there = replace(stored, began_at=stored.began_at - timedelta(seconds=1))
        assert await boots.boots.claim_overdue(there, S.LOADER)
        assert not await boots.boots.claim_overdue(stored, S.LOADER)
        assert await boots.wait(limit_s(S.LOADER) + 10) == []

    with_watched_boots(scenario)


def test_without_a_store_an_overdue_step_is_an_event_as_well(with_watched_boots: Callable[..., Any]):
    async def scenario(boots: WatchedBoots) -> None:
        boots.boot()
        await boots.boots.flush()
        await boots.boots._database.close()
        boots.boots.keep = lambda _: None  # type: ignore[method-assign]
        assert await boots.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]

    with_watched_boots(scenario)


def test_the_watch_goes_on_after_a_fault(with_watched_boots: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("netboot.boot.sessions.overdue_watch.EVERY_S", 0.0)
    monkeypatch.setattr("netboot.app.running.lasting_work.AGAIN_S", 0.0)
    third = asyncio.Event()

    async def scenario(boots: WatchedBoots) -> None:
        calls = iter([ValueError("a fault"), StoreError("another")])

        def running(_: datetime) -> list[BootRecord]:
            for fault in calls:
                raise fault
            third.set()
            return []

        boots.recorder.running = running  # type: ignore[method-assign]
        watching = asyncio.create_task(lasting(boots.watch.run))  # as the daemon runs it
        await asyncio.wait_for(third.wait(), 10)
        watching.cancel()

    with_watched_boots(scenario)
