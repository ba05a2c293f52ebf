"""The boots of all machines, as a sink of events records them: in memory, in the store, after a restart."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from netboot.boot.sessions import boot_recorder
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.model.boot.boot_record import BootEnd, BootPlan, BootRecord
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.model.install.install import Install, InstallEvent, Move
from netboot.store.boots.boot_store import Boots
from netboot.store.database import Database
from netboot.store.installs import Installs
from netboot.telemetry.metrics import Metrics

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CP1, MAC = HostName("cp1"), Mac("52:54:00:aa:bb:01")
CARDS = {"cp2": Mac("52:54:00:aa:bb:02"), "w1": Mac("52:54:00:aa:bb:11")}  # of the others, and MAC


def happened(
    recorder: BootRecorder, host: str | None, seconds: float, step: Step, name: str = "boot.content_sent", **data: Any
) -> None:
    data = {"kind": "loader", "boot_file": "undionly.kpxe", **data}
    at = BEGIN + timedelta(seconds=seconds)
    named, mac = HostName(host) if host else None, CARDS.get(host or "", MAC)
    recorder.event_happened(Event(name, at, named, mac, step, data), logging.INFO)


def offered(recorder: BootRecorder, host: str | None, seconds: float) -> None:
    happened(recorder, host, seconds, Step.OFFER, "boot.offered")


def with_boots(store_url: str, work: Callable[[Boots], Awaitable[Any]]) -> Any:
    async def scenario() -> Any:
        database = await Database.open(store_url)
        try:
            return await work(Boots(database))
        finally:
            await database.close()

    return asyncio.run(scenario())


def measured(sqlite_url: str, work: Callable[[BootRecorder], None]) -> list[str]:
    """The histogram of what `work` records."""
    metrics = Metrics()

    async def scenario(boots: Boots) -> None:
        work(BootRecorder(boots, on_measured=[metrics.step_measured]))

    with_boots(sqlite_url, scenario)
    return [line for line in metrics.exposition().decode().splitlines() if "seconds_count" in line or "_sum" in line]


def test_the_boots_of_two_hosts_are_measured_each_for_itself_and_without_their_names(sqlite_url: str):
    def work(recorder: BootRecorder) -> None:
        for host, began in (("cp1", 0), ("w1", 1)):
            offered(recorder, host, began)
        for host, sent in (("cp1", 3), ("w1", 5)):
            happened(recorder, host, sent, Step.LOADER)

    assert measured(sqlite_url, work) == [
        'netboot_boot_step_duration_seconds_count{loader="ipxe-bios",step="loader"} 2.0',
        'netboot_boot_step_duration_seconds_sum{loader="ipxe-bios",step="loader"} 7.0',
    ]


def test_unregistered_machines_are_recorded_and_not_measured(sqlite_url: str):
    def work(recorder: BootRecorder) -> None:
        offered(recorder, None, 0)
        happened(recorder, None, 3, Step.LOADER)
        found = recorder.newest(MAC)
        assert found is not None
        assert [each.step for each in found.steps] == [Step.OFFER, Step.LOADER]

    assert measured(sqlite_url, work) == []


def test_the_boot_whose_last_step_is_the_oldest_is_forgotten_first(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(boot_recorder, "HOSTS_KEPT", 2)

    def work(recorder: BootRecorder) -> None:
        for host in ("cp1", "cp2", "w1"):
            offered(recorder, host, 0)
        for host in ("w1", "cp2", "cp1"):
            happened(recorder, host, 2, Step.LOADER)

    assert measured(sqlite_url, work)[0] == (
        'netboot_boot_step_duration_seconds_count{loader="ipxe-bios",step="loader"} 2.0'
    )


def test_a_flood_of_unregistered_machines_forgets_no_host(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(boot_recorder, "UNREGISTERED_KEPT", 2)

    async def scenario(boots: Boots) -> list[Mac]:
        recorder = BootRecorder(boots)
        offered(recorder, "cp1", 0)
        for number in range(5):
            mac = Mac.from_bytes((0x020000000000 + number).to_bytes(6, "big"))
            recorder.event_happened(Event("boot.offered", BEGIN, mac=mac, step=Step.OFFER), logging.INFO)
        return [boot.mac for boot in recorder.running(BEGIN)]

    assert with_boots(sqlite_url, scenario) == [MAC, "02:00:00:00:00:03", "02:00:00:00:00:04"]


def test_each_boot_is_stored_and_the_one_before_has_ended(sqlite_url: str):
    async def scenario(boots: Boots) -> list[BootRecord]:
        recorder = BootRecorder(boots)
        offered(recorder, "cp1", 0)
        offered(recorder, "cp1", 90)
        happened(recorder, "cp1", 93, Step.LOADER, name="boot.loader_sent", bytes=7)
        await boots.flush()
        return await boots.of_host(CP1)

    first, second = with_boots(sqlite_url, scenario)

    assert (first.end, second.end) == (BootEnd.REPLACED, None)
    assert [(each.step, each.took_s, each.bytes) for each in second.steps] == [
        (Step.OFFER, None, 0),
        (Step.LOADER, 3.0, 7),
    ]


def test_a_boot_continues_after_a_restart_and_one_without_a_request_for_hours_does_not(store_url: str):
    async def before(boots: Boots) -> None:
        recorder = BootRecorder(boots)
        happened(recorder, "cp1", 0, Step.SCRIPT)
        happened(recorder, "w1", -5 * 3600, Step.SCRIPT)
        await boots.flush()

    async def after(boots: Boots) -> list[list[Step]]:
        recorder = BootRecorder(boots)
        await recorder.load(BEGIN + timedelta(seconds=60))
        happened(recorder, "cp1", 61, Step.KERNEL)
        happened(recorder, "w1", 61, Step.KERNEL)
        await boots.flush()
        return [[each.step for each in boot.steps] for host in ("cp1", "w1") for boot in await boots.of_host(host)]

    with_boots(store_url, before)

    assert with_boots(store_url, after) == [[Step.SCRIPT, Step.KERNEL], [Step.SCRIPT], [Step.KERNEL]]


async def after_a_kill(
    database: Database, moves: Sequence[InstallEvent], *recorded: Step, began_s: float = 0.0
) -> list[BootRecord]:
    """Store a boot with these steps, one each second, and later moves of its install; read the boots after a start."""
    installs, boots, before = Installs(database), Boots(database), BootRecorder(Boots(database))
    armed = partial(Install.armed, at=BEGIN, reason="test", attempts=3)
    await installs.change(CP1, armed, at=BEGIN, what="armed")
    for second, step in enumerate(recorded):
        happened(before, "cp1", began_s + second, step, plan="install")
    await before.boots.flush()
    for second, event in enumerate(moves, start=10):
        at = BEGIN + timedelta(seconds=second)
        await installs.change(CP1, partial(Install.moved_by, event=event, at=at), at=at, what=event.value, note="why")
    recorder = BootRecorder(boots)
    await recorder.load(BEGIN + timedelta(seconds=60))
    await recorder.bring_forward(installs.histories, BEGIN + timedelta(seconds=60))
    await boots.flush()
    assert recorder.newest(CP1) in await boots.of_host(CP1)
    return await boots.of_host(CP1)


def forward(store_url: str, moves: Sequence[InstallEvent], *recorded: Step, began_s: float = 0.0) -> list[BootRecord]:
    async def scenario() -> list[BootRecord]:
        database = await Database.open(store_url)
        try:
            return await after_a_kill(database, moves, *recorded, began_s=began_s)
        finally:
            await database.close()

    return asyncio.run(scenario())


def test_a_boot_whose_last_events_were_lost_has_the_moves_of_its_install(store_url: str):
    moves = [InstallEvent.SCRIPT_SENT, InstallEvent.REPORTED_STARTED, InstallEvent.REPORTED_DONE]

    [boot] = forward(store_url, moves, Step.OFFER)

    assert [(each.step, (each.at - BEGIN).total_seconds(), each.took_s) for each in boot.steps] == [
        (Step.OFFER, 0.0, None),
        (Step.SCRIPT, 10.0, None),  # the steps between them may be lost: no duration
        (Step.INSTALLING, 11.0, None),
        (Step.INSTALLED, 12.0, None),
    ]
    assert (boot.plan, boot.end, boot.waits_for) == (BootPlan.INSTALL, None, Step.LOCAL_BOOT)


@pytest.mark.parametrize(
    ("moves", "steps", "end"),
    [
        ([InstallEvent.REPORTED_FAILED], [Step.FAILED], BootEnd.FAILED),
        ([InstallEvent.IGNITION_SENT], [Step.INSTALLED, Step.IGNITION], None),
        (
            [InstallEvent.REPORTED_DONE, InstallEvent.IGNITION_SENT, InstallEvent.REPORTED_READY],
            [Step.INSTALLED, Step.READY],
            BootEnd.READY,
        ),
    ],
)
def test_each_stored_move_that_a_boot_shows_is_brought_forward(
    sqlite_url: str, moves: Sequence[InstallEvent], steps: Sequence[Step], end: BootEnd | None
):
    [boot] = forward(sqlite_url, [InstallEvent.SCRIPT_SENT, *moves], Step.OFFER)

    assert ([each.step for each in boot.steps], boot.end) == ([Step.OFFER, Step.SCRIPT, *steps], end)


def test_what_a_boot_has_and_what_happened_before_it_are_not_brought_forward(sqlite_url: str):
    moves = [InstallEvent.SCRIPT_SENT, InstallEvent.REPORTED_STARTED, InstallEvent.REPORTED_DONE]

    [known] = forward(sqlite_url, moves[:2], Step.OFFER, Step.SCRIPT, Step.INSTALLING, began_s=9.5)

    assert [(each.step, (each.at - BEGIN).total_seconds()) for each in known.steps] == [
        (Step.OFFER, 9.5),
        (Step.SCRIPT, 10.5),
        (Step.INSTALLING, 11.5),
    ]


def test_moves_before_a_boot_are_not_of_it(sqlite_url: str):
    moves = [InstallEvent.SCRIPT_SENT, InstallEvent.REPORTED_STARTED, InstallEvent.REPORTED_DONE]

    [later] = forward(sqlite_url, moves, Step.OFFER, began_s=20)

    assert [each.step for each in later.steps] == [Step.OFFER]


def test_a_boot_after_which_another_one_was_recorded_is_left_as_it_is(sqlite_url: str):
    """Another appliance on the store recorded the later boot, in which the moves were made."""

    async def scenario() -> list[list[Step]]:
        database = await Database.open(sqlite_url)
        try:
            other = BootRecorder(Boots(database))
            happened(other, "cp1", 40, Step.OFFER)
            happened(other, "cp1", 45, Step.SCRIPT, plan="install")
            happened(other, "cp1", 50, Step.FAILED)
            await other.boots.flush()
            found = await after_a_kill(database, [InstallEvent.SCRIPT_SENT], Step.OFFER)
            return [[each.step for each in boot.steps] for boot in found]
        finally:
            await database.close()

    assert asyncio.run(scenario()) == [[Step.OFFER], [Step.OFFER, Step.SCRIPT, Step.FAILED]]


@pytest.mark.parametrize("writes_first", [True, False])
def test_a_boot_that_another_appliance_records_is_left_to_it(store_url: str, writes_first: bool):
    """It stores a move before the boot; an appliance that starts reads both between the two."""

    async def scenario() -> tuple[list[BootRecord], BootRecord | None]:
        database = await Database.open(store_url)
        try:
            installs, other = Installs(database), BootRecorder(Boots(database))
            await installs.change(
                CP1, partial(Install.armed, at=BEGIN, reason="test", attempts=3), at=BEGIN, what="armed"
            )
            happened(other, "cp1", 0, Step.OFFER, plan="install")
            await other.boots.flush()
            at = BEGIN + timedelta(seconds=10)
            sent = partial(Install.moved_by, event=InstallEvent.SCRIPT_SENT, at=at)
            await installs.change(CP1, sent, at=at, what=InstallEvent.SCRIPT_SENT.value)
            happened(other, "cp1", 10, Step.SCRIPT, plan="install", name="boot.script_served")

            async def histories(hosts: Sequence[HostName]) -> Mapping[HostName, Sequence[Move]]:
                if writes_first:
                    await other.boots.flush()
                return await installs.histories(hosts)

            started = BootRecorder(Boots(database))
            await started.load(at)
            await started.bring_forward(histories, at)
            if not writes_first:
                await other.boots.flush()
            await started.boots.flush()
            return await started.boots.of_host(CP1), other.newest(CP1)
        finally:
            await database.close()

    [stored], recorded = asyncio.run(scenario())

    assert stored == recorded
    assert [(each.step, each.took_s) for each in stored.steps] == [(Step.OFFER, None), (Step.SCRIPT, 10.0)]


def test_a_machine_that_is_registered_while_it_boots_continues_its_boot_under_its_name(sqlite_url: str):
    async def scenario(boots: Boots) -> tuple[list[BootRecord], list[BootRecord], BootRecord | None]:
        recorder = BootRecorder(boots)
        offered(recorder, None, 0)
        await boots.flush()
        happened(recorder, "cp1", 300, Step.SCRIPT)
        await boots.flush()
        return await boots.of_host(CP1), await boots.of_unregistered(MAC), recorder.newest(MAC)

    found, left, known = with_boots(sqlite_url, scenario)

    assert [[each.step for each in boot.steps] for boot in found] == [[Step.OFFER, Step.SCRIPT]]
    assert (left, known) == ([], None)


def test_an_arming_between_the_registration_and_the_next_step_loses_no_boot(sqlite_url: str):
    async def scenario(boots: Boots) -> tuple[list[BootRecord], list[BootRecord]]:
        recorder = BootRecorder(boots)
        offered(recorder, None, 0)
        armed = {"by": "armed", "from": "registered", "to": "registered"}
        recorder.event_happened(
            Event("install.moved", BEGIN + timedelta(seconds=5), CP1, MAC, data=armed), logging.INFO
        )
        happened(recorder, "cp1", 9, Step.SCRIPT)
        await boots.flush()
        return await boots.of_host(CP1), await boots.of_unregistered(MAC)

    [boot], left = with_boots(sqlite_url, scenario)

    assert ([each.step for each in boot.steps], left) == ([Step.OFFER, Step.SCRIPT], [])


@pytest.mark.parametrize("later_host", ["cp9", None])
def test_a_boot_whose_host_is_renamed_or_removed_ends_when_its_machine_goes_on(sqlite_url: str, later_host: str | None):
    async def scenario(boots: Boots) -> tuple[list[HostName | None], list[BootEnd | None]]:
        recorder = BootRecorder(boots)
        offered(recorder, "cp1", 0)
        happened(recorder, later_host, 5, Step.SCRIPT)
        await boots.flush()
        return [boot.host for boot in recorder.running(BEGIN)], [boot.end for boot in await boots.of_host(CP1)]

    running, ends = with_boots(sqlite_url, scenario)

    assert (running, ends) == ([HostName(later_host) if later_host else None], [BootEnd.REPLACED])


def test_a_repeated_request_is_counted_in_the_running_boot_of_its_machine(sqlite_url: str):
    async def scenario(boots: Boots) -> list[int]:
        recorder, at = BootRecorder(boots), BEGIN + timedelta(seconds=4)
        recorder.count_retry(CP1, MAC, Step.OFFER, at=at)
        offered(recorder, "cp1", 0)
        other = CARDS["w1"]
        recorder.event_happened(Event("boot.offered", at, mac=other, step=Step.OFFER), logging.INFO)
        recorder.count_retry(CP1, MAC, Step.OFFER, at=at)
        recorder.count_retry(CP1, MAC, Step.OFFER, at=at)
        recorder.count_retry(None, other, Step.OFFER, at=at)
        recorder.count_retry(None, other, Step.LOADER, at=at)
        await boots.flush()
        return [boot.steps[0].retries for boot in (*await boots.of_host(CP1), *await boots.of_unregistered(other))]

    assert with_boots(sqlite_url, scenario) == [2, 1]


def test_events_of_no_machine_are_ignored(sqlite_url: str):
    async def scenario(boots: Boots) -> int:
        BootRecorder(boots).event_happened(Event("store.events_lost", BEGIN, data={"count": 3}), logging.ERROR)
        BootRecorder(boots).event_happened(Event("audit.recorded", BEGIN), logging.INFO)
        return boots.waiting_count

    assert with_boots(sqlite_url, scenario) == 0
