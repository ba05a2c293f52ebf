"""Events that are stored reach a real web server, in the order of each host, again and again until it accepts them."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fixtures import receivers
from fixtures.receivers import WebReceiver, a_receiver
from fixtures.services import FakeClock
from sqlalchemy import make_url
from structlog.testing import capture_logs

from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.model.clock import Clock
from netboot.model.hook import CommandTarget, Hook, WebTarget
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.operate.hooks import hook_service
from netboot.operate.hooks.delivery_queue import DeliveryQueue, HookResult
from netboot.operate.hooks.hook_outbox import HookOutbox
from netboot.operate.hooks.hook_service import AT_ONCE, HookService
from netboot.store.database import Database
from netboot.telemetry.metrics import Metrics

MAC = Mac("52:54:00:aa:bb:99")


@dataclass
class Appliance:
    """The event log with its outbox, and the service that delivers."""

    receiver: WebReceiver
    clock: FakeClock
    outbox: HookOutbox
    queue: DeliveryQueue
    events: EventBus
    event_log: EventLog
    metrics: Metrics
    service: HookService

    async def emit(self, *numbers: int, host: str | None = "cp1", name: str = "boot.offered", **kwargs: Any) -> None:
        """Store one event for each number."""
        for number in numbers:
            of_host = HostName(host) if host else None
            self.event_log.take(Event(name, self.clock.now(), of_host, data={"number": number}, **kwargs), logging.INFO)
        await self.event_log.flush()

    async def pass_(self, seconds: float) -> None:
        """Let time pass, and the service notice it."""
        self.clock.pass_(seconds)
        self.outbox.grown.set()
        await asyncio.sleep(0)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await holds():  # noqa: ASYNC110 - what holds is in the store
                await asyncio.sleep(0.01)

    async def result(self, hook: str = "pager") -> HookResult:
        return (await self.queue.results())[hook]

    async def waiting(self, count: int) -> HookResult:
        """Wait until so many events wait for the hook."""
        await self.until(lambda: self._has_waiting(count))
        return await self.result()

    async def _has_waiting(self, count: int) -> bool:
        return (await self.result()).waiting == count

    async def counts(self, waiting: int) -> bool:
        return self.service.waiting_count == waiting

    async def failed(self, reason: str = "") -> None:
        """Wait until an attempt failed, and its outcome is stored."""
        await self.until(lambda: self._has_failed(reason))

    async def _has_failed(self, reason: str) -> bool:
        error = (await self.result()).error
        return error is not None and reason in error

    async def stored(self, *names: str) -> list[Event]:
        """Read the stored events about hooks."""
        await self.event_log.flush()
        return [event for event in await self.event_log.after(0) if event.name in names]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the events as they were received."""
        return [json.loads(request.body)["data"]["number"] for request in self.receiver.received]

    def outcomes(self, outcome: str) -> int:
        line = f'netboot_hook_deliveries_total{{hook="pager",outcome="{outcome}"}} '
        text = self.metrics.exposition().decode()
        return int(float(text.partition(line)[2].partition("\n")[0] or 0))


def a_hook(url: str, **changes: Any) -> Hook:
    return replace(Hook("pager", WebTarget(url), ("boot.*", "install.moved"), timeout_s=5), **changes)


@asynccontextmanager
async def an_appliance(url: str, *, starts: bool = True, **changes: Any) -> AsyncIterator[Appliance]:
    database = await Database.open(url)
    clock = FakeClock()
    async with a_receiver() as receiver:
        outbox = HookOutbox([a_hook(receiver.url, **changes)], appliance="box1")
        event_log, queue, metrics = EventLog(database, outbox=outbox), DeliveryQueue(database), Metrics()
        events = EventBus(event_log, now=clock.now)
        of_time = Clock(clock.now, clock.monotonic, clock.random_bytes)
        service = HookService(outbox, queue, events=events, metrics=metrics, clock=of_time)
        appliance = Appliance(receiver, clock, outbox, queue, events, event_log, metrics, service)
        running = asyncio.create_task(service.run()) if starts else None
        try:
            if running is not None:
                await appliance.until(lambda: _has_results(queue))
            yield appliance
        finally:
            if running is not None:
                running.cancel()
                await asyncio.wait([running])
            await database.close()


async def has_lines(lines: Sequence[object]) -> bool:
    return bool(lines)


async def _has_results(queue: DeliveryQueue) -> bool:
    return bool(await queue.results())


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_a_stored_event_is_delivered_once_and_is_no_longer_queued(store_url: str):
    async def scenario() -> None:
        async with an_appliance(store_url) as appliance:
            await appliance.emit(1)
            await appliance.receiver.has(1)
            result = await appliance.waiting(0)
            await appliance.emit(2)
            await appliance.receiver.has(2)

            body = json.loads(appliance.receiver.received[0].body)
            assert (body["id"], body["event"], body["host"], body["appliance"]) == (1, "boot.offered", "cp1", "box1")
            assert appliance.numbers == [1, 2]
            assert (result.delivered_at, result.error) == (appliance.clock.now(), None)
            await appliance.waiting(0)
            assert appliance.outcomes("delivered") == 2

    run(scenario())


def test_only_events_that_the_hook_selects_are_delivered(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            await appliance.emit(1, name="lease.granted")
            await appliance.emit(2, name="hooks.delivery_failed")
            await appliance.emit(3)
            await appliance.receiver.has(1)

            assert appliance.numbers == [3]

    run(scenario())


def test_a_failed_attempt_is_repeated_after_a_second_then_after_two_up_to_ten_minutes(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [receivers.status(500)] * 15
            await appliance.emit(1)
            waits_s = []
            for attempt in range(1, 16):
                await appliance.receiver.has(attempt)
                await appliance.until(lambda attempt=attempt: _is_planned(appliance, attempt))
                next_at = (await appliance.queue.due("pager", appliance.clock.now(), limit=1)).next_at
                assert next_at is not None
                waits_s.append((next_at - appliance.clock.now()).total_seconds())
                await appliance.pass_(waits_s[-1])
            await appliance.receiver.has(16)

            doubled_s = [2.0**number for number in range(10)]
            assert all(at <= wait < at * 1.25 for at, wait in zip(doubled_s, waits_s[:10], strict=True))
            assert waits_s[10:] == [600.0] * 5
            assert set(appliance.numbers) == {1}
            assert len({request.headers["webhook-id"] for request in appliance.receiver.received}) == 1
            assert appliance.outcomes("failed") == 15

    run(scenario())


async def _is_planned(appliance: Appliance, attempts: int) -> bool:
    return appliance.outcomes("failed") == attempts


def test_a_server_that_is_busy_is_left_alone_for_the_time_that_it_states(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [receivers.status(429, Retry_After="60")]
            await appliance.emit(1)
            await appliance.failed()
            next_at = (await appliance.queue.due("pager", appliance.clock.now(), limit=1)).next_at

            assert next_at is not None
            assert (next_at - appliance.clock.now()).total_seconds() == 60

    run(scenario())


def test_no_event_of_a_host_overtakes_one_that_failed_and_those_of_others_are_delivered(store_url: str):
    async def scenario() -> None:
        async with an_appliance(store_url) as appliance:
            appliance.receiver.answers += [receivers.status(500)]
            await appliance.emit(1)
            await appliance.failed()
            await appliance.emit(2, 3)
            await appliance.emit(10, 11, host="w1")
            await appliance.emit(20, 21, host=None, mac=MAC)
            await appliance.receiver.has(5)
            await appliance.waiting(3)
            await appliance.until(lambda: appliance.counts(3))
            assert appliance.numbers[0] == 1
            assert sorted(appliance.numbers[1:]) == [10, 11, 20, 21]

            await appliance.pass_(2)
            await appliance.receiver.has(8)

            for numbers in ([1, 1, 2, 3], [10, 11], [20, 21]):
                assert [number for number in appliance.numbers if number in numbers] == numbers

    run(scenario())


def test_a_receiver_that_hangs_has_a_few_attempts_at_once_and_delays_no_other_hook(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance, a_receiver() as other:
            appliance.receiver.answers += [receivers.hang] * 100
            hanging = a_hook(appliance.receiver.url, timeout_s=25)
            appliance.service.use([hanging, a_hook(other.url, name="other")])
            for number in range(20):
                await appliance.emit(number, host=f"w{number}")
            await other.has(20)
            await appliance.receiver.has(AT_ONCE)
            await asyncio.sleep(0.1)

            assert len(appliance.receiver.received) == AT_ONCE

    run(scenario())


def test_an_attempt_whose_daemon_was_killed_is_made_again_when_its_claim_has_ended(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url, starts=False) as appliance:
            await appliance.queue.keep_only(["pager"])
            await appliance.emit(1)
            now = appliance.clock.now()
            due = (await appliance.queue.due("pager", now, limit=1)).deliveries
            (claimed,) = await appliance.queue.claim(due, until=now.replace(minute=now.minute + 1))
            assert claimed.attempts == 1

            running = asyncio.create_task(appliance.service.run())
            await asyncio.sleep(0.2)
            assert appliance.receiver.received == []
            await appliance.pass_(61)
            await appliance.receiver.has(1)
            running.cancel()
            await asyncio.wait([running])

    run(scenario())


def test_what_is_stored_while_no_service_runs_is_delivered_when_it_starts(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url, starts=False) as appliance:
            await appliance.emit(1, 2)
            running = asyncio.create_task(appliance.service.run())
            await appliance.receiver.has(2)
            running.cancel()
            await asyncio.wait([running])

            assert appliance.numbers == [1, 2]

    run(scenario())


def test_an_event_is_given_up_by_the_attempt_that_fails_after_three_days(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [receivers.status(500, "no")] * 2
            await appliance.emit(1)
            await appliance.failed()
            await appliance.pass_(3 * 24 * 3600 + 1)
            await appliance.waiting(0)
            (given_up,) = await appliance.stored("hooks.delivery_given_up")

            reason = f"http://127.0.0.1:{appliance.receiver.port}: HTTP 500 no"
            assert given_up.data == {"hook": "pager", "event_id": 1, "attempts": 2, "reason": reason}
            assert appliance.outcomes("given-up") == 1
            assert (await appliance.result()).is_failing

    run(scenario())


def test_a_hook_that_begins_to_fail_and_one_that_succeeds_again_are_one_event_each(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [receivers.status(500)] * 3
            for host in ("a", "b", "c"):
                await appliance.emit(1, host=host)
            await appliance.receiver.has(3)
            await appliance.until(lambda: _is_planned(appliance, 3))
            assert (await appliance.result()).is_failing
            await appliance.pass_(2)
            await appliance.waiting(0)

            assert not (await appliance.result()).is_failing
            names = [event.name for event in await appliance.stored("hooks.delivery_failed", "hooks.delivery_resumed")]
            assert names == ["hooks.delivery_failed", "hooks.delivery_resumed"]

    run(scenario())


def test_beyond_the_number_that_waits_the_oldest_are_removed_and_counted(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hook_service, "MOST_WAITING", 20)
    monkeypatch.setattr(hook_service, "KEPT_WAITING", 15)

    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [receivers.status(500)]
            await appliance.emit(0)
            await appliance.failed()
            await appliance.emit(*range(1, 25))
            result = await appliance.waiting(15)
            (lost,) = await appliance.stored("hooks.deliveries_lost")

            assert lost.data["deliveries"] == 10
            assert lost.data["hook"] == "pager"
            assert result.waiting == 15
            await appliance.receiver.has(16)
            assert appliance.numbers[1:] == list(range(10, 25))

    run(scenario())


def test_what_waits_for_a_hook_that_is_no_longer_declared_is_removed_and_counted(store_url: str):
    async def scenario() -> None:
        async with an_appliance(store_url) as appliance:
            appliance.receiver.answers += [receivers.status(500)]
            await appliance.emit(1, 2)
            await appliance.failed()
            appliance.service.use([a_hook(appliance.receiver.url, name="other")])
            await appliance.until(lambda: _is_gone(appliance))
            (lost,) = await appliance.stored("hooks.deliveries_lost")
            await appliance.emit(3)
            await appliance.receiver.has(2)

            reason = "the hook is no longer declared"
            assert lost.data == {"hook": "pager", "deliveries": 2, "reason": reason}
            assert appliance.numbers == [1, 3]

    run(scenario())


async def _is_gone(appliance: Appliance) -> bool:
    return "pager" not in await appliance.queue.results()


def test_a_hook_that_changes_gets_what_waits_for_it_at_its_new_url(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance, a_receiver() as other:
            appliance.receiver.answers += [receivers.status(404)]
            await appliance.emit(1)
            await appliance.failed()
            appliance.service.use([a_hook(other.url)])
            await appliance.pass_(2)
            await other.has(1)

    run(scenario())


def test_an_attempt_that_is_due_far_in_the_future_was_planned_by_a_wrong_clock_and_is_made(sqlite_url: str):
    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [receivers.status(500)]
            await appliance.emit(1)
            await appliance.failed()
            await appliance.pass_(-86400)
            await appliance.receiver.has(2)

    run(scenario())


def test_a_fault_in_the_program_is_a_failed_attempt(sqlite_url: str):
    async def scenario() -> None:
        target = CommandTarget(("/bin/true", 7))  # type: ignore[arg-type]
        with capture_logs() as lines:
            async with an_appliance(sqlite_url, target=target) as appliance:
                await appliance.emit(1)
                await appliance.failed("a fault of netboot's own, see the log")
        assert [line["hook"] for line in lines if line["event"] == "hooks.attempt_failed"] == ["pager"]

    run(scenario())


def test_at_a_stop_attempts_have_two_seconds_to_end(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hook_service, "STOP_S", 0.3)

    async def slow(request: Any) -> Any:
        await asyncio.sleep(0.1)
        return await receivers.status(200)(request)

    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [slow, receivers.hang]
            await appliance.emit(1, host="a")
            await appliance.receiver.has(1)
            await appliance.emit(2, host="b")
            await appliance.receiver.has(2)
            ended = asyncio.get_running_loop().time()
            queue = appliance.queue
            for task in asyncio.all_tasks():
                if "HookService.run" in repr(task):
                    task.cancel()
                    await asyncio.wait([task])
            assert asyncio.get_running_loop().time() - ended < 2
            assert (await queue.results())["pager"].waiting == 1

    run(scenario())


def test_deliveries_continue_when_the_store_answers_again(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hook_service, "_RETRY_S", 0.05)

    def rename(before: str, after: str) -> None:
        with closing(sqlite3.connect(str(make_url(sqlite_url).database))) as connection:
            connection.execute(f"ALTER TABLE {before} RENAME TO {after}")

    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            appliance.receiver.answers += [receivers.status(500)]
            await appliance.emit(1)
            await appliance.failed()
            with capture_logs() as lines:
                rename("hook_deliveries", "away")
                await appliance.pass_(2)
                await appliance.until(lambda: has_lines(lines))
                await asyncio.sleep(0.2)  # it tries again meanwhile
            rename("away", "hook_deliveries")
            await appliance.receiver.has(2)

            assert [line["event"] for line in lines] == ["hooks.delayed"]

    run(scenario())


def test_an_outcome_that_cannot_be_stored_is_stored_later(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hook_service, "_RETRY_S", 0.05)

    async def scenario() -> None:
        async with an_appliance(sqlite_url) as appliance:
            path = str(make_url(sqlite_url).database)

            async def break_store(request: Any) -> Any:
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("ALTER TABLE hook_results RENAME TO away")
                return await receivers.status(200)(request)

            appliance.receiver.answers += [break_store]
            with capture_logs() as lines:
                await appliance.emit(1)
                await appliance.until(lambda: has_lines(lines))
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("ALTER TABLE away RENAME TO hook_results")
            await appliance.waiting(0)

            assert [line["event"] for line in lines] == ["hooks.delayed"]
            assert len(appliance.receiver.received) == 1
            assert appliance.outcomes("delivered") == 1

    run(scenario())
