"""A step of a running boot that does not come in time is one event: not sooner, not twice, and not without a cause."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.services import FakeClock

from netboot.boot.sessions.boot_causes import BootCauses
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.boot.sessions.learned_durations import LearnedDurations
from netboot.boot.sessions.overdue_watch import OverdueWatch
from netboot.errors import StoreError
from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.model.boot.boot_record import BootRecord
from netboot.model.boot.expected_durations import FEWEST_BOOTS, default_of
from netboot.model.boot.loader_names import LoaderKind
from netboot.model.boot.reasons import explain
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.model.install.install import Install
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database

CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
UEFI = LoaderKind.IPXE_UEFI
S = Step


class Rack:
    """An appliance whose clock is set: its boots are recorded, and watched once a second."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.clock, self.boots, self.found = clock, Boots(database), list[Event]()
        self.durations = LearnedDurations(self.boots)
        self.recorder = BootRecorder(self.boots, on_measured=[self.durations.step_measured])
        log = EventLog(database)
        self.events = EventBus(log, now=clock.now, sinks=[self.recorder.event_happened, self._note])
        causes = BootCauses(log, install_of=Install, machine_of=lambda _: None, unserved=list, now=clock.now)
        self.watch = OverdueWatch(
            self.recorder, self.durations, self.boots, causes=causes, events=self.events, clock=self._clock()
        )

    async def load(self) -> None:
        await self.durations.load_once()
        await self.recorder.load(self.clock.now())

    def _clock(self) -> Any:
        return SimpleNamespace(now=self.clock.now, monotonic=self.clock.monotonic)

    def _note(self, event: Event, _level: int) -> None:
        if event.name == "boot.step_overdue":
            self.found.append(event)

    def reaches(
        self, step: Step | None, name: str = "boot.content_sent", host: str | None = "cp1", **data: Any
    ) -> None:
        self.events.emit(name, data, host=HostName(host) if host else None, mac=MAC, step=step)

    def boot(self, host: str | None = "cp1") -> None:
        self.reaches(S.OFFER, "boot.offered", host, kind="loader", boot_file="snponly.efi")

    def script(self, plan: str, step: Step | None = None, **data: Any) -> None:
        self.reaches(step, "boot.script_served", plan=plan, **data)

    async def wait(self, seconds: float) -> list[tuple[str, str]]:
        """Let time pass, watched each second; return the events of this time: host and step."""
        before = len(self.found)
        for _ in range(round(seconds)):
            self.clock.pass_(1)
            await self.watch.judge()
        return [(str(event.host), str(event.data["waits_for"])) for event in self.found[before:]]

    @property
    def overdue_count(self) -> float:
        [reading] = self.watch.readings()
        return reading.value


@pytest.fixture
def on_rack(store_url: str) -> Callable[..., Any]:
    def run(*scenarios: Callable[[Rack], Awaitable[Any]]) -> Any:
        """Run each scenario in a process of its own, on the same store; return what the last one found."""

        async def all_of_them() -> Any:
            clock, found = FakeClock(), None
            for scenario in scenarios:
                database = await Database.open(store_url)
                try:
                    rack = Rack(database, clock)
                    await rack.load()
                    found = await scenario(rack)
                    await rack.boots.close()
                finally:
                    await database.close()
            return found

        return asyncio.run(all_of_them())

    return run


def limit_s(step: Step) -> float:
    return default_of(step, UEFI).limit_s


def test_a_step_that_does_not_come_is_one_event_with_what_is_expected(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.boot()
        began = rack.clock.now()
        assert await rack.wait(limit_s(S.LOADER)) == []
        assert rack.overdue_count == 0
        assert await rack.wait(3 * 3600) == [("cp1", "loader")]
        assert rack.overdue_count == 1
        [event] = rack.found
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
        assert await rack.wait(2 * 3600) == []
        assert rack.overdue_count == 0  # it was switched off

    on_rack(scenario)


def test_a_step_that_comes_late_ends_the_wait_and_the_next_one_is_watched(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.boot()
        assert await rack.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]
        rack.reaches(S.LOADER, "boot.loader_sent")
        assert rack.overdue_count == 0
        assert await rack.wait(limit_s(S.SCRIPT)) == []
        assert await rack.wait(10) == [("cp1", "script")]
        rack.boot()
        assert await rack.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]  # another boot

    on_rack(scenario)


def test_a_limit_that_was_learned_here_is_in_force(on_rack: Callable[..., Any]):
    async def boots(rack: Rack) -> None:
        for _ in range(FEWEST_BOOTS):
            rack.boot()
            assert await rack.wait(3) == []
            rack.reaches(S.LOADER, "boot.loader_sent")
        rack.boot()
        assert await rack.wait(69) == []
        assert await rack.wait(10) == [("cp1", "loader")]

    async def again(rack: Rack) -> None:
        rack.boot()
        assert await rack.wait(69) == []
        assert await rack.wait(10) == [("cp1", "loader")]
        assert rack.found[0].data["boots"] == FEWEST_BOOTS

    on_rack(boots, again)


def test_after_a_restart_no_event_is_repeated_and_the_time_before_it_does_not_count(on_rack: Callable[..., Any]):
    async def first(rack: Rack) -> None:
        rack.boot()
        assert await rack.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]

    async def second(rack: Rack) -> None:
        assert await rack.wait(600) == []
        rack.reaches(S.LOADER, "boot.loader_sent")
        assert await rack.wait(limit_s(S.SCRIPT) - 10) == []

    async def third(rack: Rack) -> None:
        assert await rack.wait(limit_s(S.SCRIPT)) == []
        assert await rack.wait(10) == [("cp1", "script")]

    on_rack(first, second, third)


def test_the_time_before_the_clock_was_set_does_not_count(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.boot()
        assert await rack.wait(10) == []
        wrong = rack.clock.monotonic
        rack.watch._clock.monotonic = lambda: wrong() - 3600  # type: ignore[misc]
        rack.clock.pass_(3600)
        assert await rack.wait(limit_s(S.LOADER)) == []
        assert await rack.wait(10) == [("cp1", "loader")]

    on_rack(scenario)


def test_unregistered_machines_and_boots_that_wait_for_an_operator_are_never_overdue(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.boot(host=None)
        assert await rack.wait(1000) == []
        rack.boot()
        rack.reaches(S.LOADER, "boot.loader_sent")
        rack.script("wait", reason="not-ready")
        assert await rack.wait(1000) == []
        rack.script("install", S.SCRIPT)
        rack.reaches(S.KERNEL)
        rack.reaches(S.INITRD)
        rack.reaches(None, "boot.document_held_back", document="kickstart", reason="no release")
        assert await rack.wait(1000) == []
        rack.reaches(S.KICKSTART, "boot.kickstart_served")
        assert await rack.wait(limit_s(S.STAGE2) + 10) == [("cp1", "stage2")]

    on_rack(scenario)


def test_a_host_that_boots_its_own_disk_or_has_ended_its_install_is_never_overdue(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.reaches(S.LOCAL_BOOT, "boot.offered", kind="local-disk", boot_file=None)
        assert await rack.wait(1000) == []
        rack.boot()
        rack.script("install", S.SCRIPT)
        rack.reaches(S.FAILED, "install.moved", by="reported-failed", note="no space left")
        assert await rack.wait(1000) == []

    on_rack(scenario)


def test_a_pull_that_proceeds_is_overdue_as_a_whole_and_not_between_its_parts(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.script("install", S.SCRIPT)
        rack.reaches(S.INSTALLING, "install.moved", by="reported-started")
        for percent in range(5, 55, 5):
            assert await rack.wait(200) == []
            rack.reaches(S.OSTREE, "boot.content_pulled", percent=percent)
        assert await rack.wait(limit_s(S.OSTREE) - 2000) == []
        assert await rack.wait(10) == [("cp1", "ostree")]
        rack.reaches(S.OSTREE, "boot.content_pulled", percent=100)
        assert await rack.wait(limit_s(S.POST)) == []
        assert await rack.wait(10) == [("cp1", "post")]

    on_rack(scenario)


def test_a_boot_that_goes_on_at_another_appliance_on_the_same_store_is_not_overdue(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.boot()
        began = rack.clock.now()
        assert await rack.wait(10) == []
        elsewhere = BootRecord(CP1, Mac("52:54:00:aa:bb:02"), began, began + timedelta(seconds=5))
        rack.boots.keep(elsewhere)
        await rack.boots.flush()
        assert await rack.wait(limit_s(S.LOADER) + 10) == []

    on_rack(scenario)


def test_without_a_store_an_overdue_step_is_an_event_as_well(on_rack: Callable[..., Any]):
    async def scenario(rack: Rack) -> None:
        rack.boot()
        await rack.boots.flush()
        await rack.boots._database.close()
        rack.boots.keep = lambda _: None  # type: ignore[method-assign]
        assert await rack.wait(limit_s(S.LOADER) + 10) == [("cp1", "loader")]

    on_rack(scenario)


def test_the_watch_goes_on_after_a_fault(on_rack: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("netboot.boot.sessions.overdue_watch.EVERY_S", 0.0)
    third = asyncio.Event()

    async def scenario(rack: Rack) -> None:
        calls = iter([ValueError("a fault"), StoreError("another")])

        def running(_: datetime) -> list[BootRecord]:
            for fault in calls:
                raise fault
            third.set()
            return []

        rack.recorder.running = running  # type: ignore[method-assign]
        watching = asyncio.create_task(rack.watch.run())
        await asyncio.wait_for(third.wait(), 10)
        watching.cancel()

    on_rack(scenario)
