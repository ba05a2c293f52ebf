"""Events of power actions whose daemon was killed before it wrote them: the next start records each once."""

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

import pytest
from fixtures.fake_bmcs import FakeBmcs
from fixtures.services import BuiltServices, WithServices

from netboot.events.activity import ActivityLog
from netboot.model.actor import Actor, Source
from netboot.model.host.host import HostName
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.operate.power import power_requests
from netboot.operate.power.boot_lan import NoBootUri
from netboot.operate.power.lost_events import record_lost
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.power.power_sender import PowerSender
from netboot.store.power.power_intents import PowerIntents
from netboot.telemetry.metrics import Metrics

OWN: Final = "this appliance"
MINUTE: Final = timedelta(minutes=1)


def sender_of(services: BuiltServices) -> PowerSender:
    return PowerSender(
        FakeBmcs(),
        PowerIntents(services.database),
        services.install_moves,
        services.event_bus,
        hosts=services.registry.hosts,
        boot_uri=lambda _host: NoBootUri("unused"),
        store_events=services.event_log.flush,
        metrics=Metrics(),
        clock=services.clock,
        observed={},
    )


def requests_of(
    services: BuiltServices, sender: PowerSender, *, running_ids: Callable[[], Collection[str] | None] | None = None
) -> PowerRequests:
    """Build the use cases; `running_ids` None: of a store that is not shared."""
    return PowerRequests(
        sender,
        activity=ActivityLog(services.database),
        owner=OWN,
        running_ids=running_ids or (lambda: [OWN]),
        is_shared=running_ids is not None,
        new_id=lambda: "1",
    )


async def stored(sender: PowerSender, intent_id: str, state: IntentState, *, owner: str = OWN) -> PowerIntent:
    """Store an intent with its end, without an event."""
    at = sender.clock.now()
    actor = Actor("alice", Source.API)
    intent = PowerIntent(intent_id, HostName(intent_id), PowerAction.OFF, actor, at, owner=owner)
    assert await sender.intents.add([intent]) == ()
    moved = intent if state is IntentState.CANCELLED else await sender.intents.move(intent, IntentState.SENDING, at=at)
    assert moved is not None
    ended = await sender.intents.move(moved, state, at=at + MINUTE, detail="a reason")
    assert ended is not None
    return ended


async def recorded(services: BuiltServices) -> list[tuple[str, str, object, object]]:
    return [
        (event.name, str(event.data["intent"]), event.data.get("outcome"), event.at)
        for event in await services.events()
        if event.name.startswith("power.")
    ]


async def started(services: BuiltServices, sender: PowerSender) -> None:
    """Do what a daemon does at its start, ten minutes later."""
    services.clock.pass_(600)
    await record_lost(sender, ActivityLog(services.database), before=services.clock.now())


def test_each_request_and_end_without_an_event_is_recorded_once(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        sender = sender_of(services)
        at = services.clock.now()
        whole = await stored(sender, "whole", IntentState.DONE)
        sender.record_request(whole)
        sender.record_end(whole)
        half = await stored(sender, "half", IntentState.DONE)
        sender.record_request(half)
        await services.event_log.flush()
        services.clock.pass_(1)
        await stored(sender, "failed", IntentState.FAILED)
        before = await recorded(services)

        await started(services, sender)
        once = await recorded(services)
        await started(services, sender)

        later = at + timedelta(seconds=1)
        assert once[len(before) :] == [
            ("power.ended", "half", "done", at + MINUTE),
            ("power.requested", "failed", None, later),
            ("power.failed", "failed", "failed", later + MINUTE),
        ]
        assert await recorded(services) == once
        ended = next(event for event in await services.events() if event.data.get("outcome") == "failed")
        assert (ended.host, ended.data["actor"], ended.data["reason"]) == ("failed", "alice", "a reason")
        assert sender.metrics.total("power_actions") == 1, "a counter of this daemon does not count those of another"

    with_services(scenario)


def test_what_ends_after_the_start_and_what_is_older_than_every_stored_event_is_left(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        sender = sender_of(services)
        await stored(sender, "old", IntentState.DONE)
        services.clock.pass_(1)
        services.event_bus.emit("store.events_lost", {"count": 1})  # the oldest that is left
        await services.event_log.flush()
        services.clock.pass_(1)
        begun = await stored(sender, "begun", IntentState.DONE)

        await record_lost(sender, ActivityLog(services.database), before=begun.requested_at)
        at_once = await recorded(services)
        await record_lost(sender, ActivityLog(services.database), before=begun.requested_at + MINUTE / 2)

        assert at_once == []
        assert await recorded(services) == [("power.requested", "begun", None, begun.requested_at)]

    with_services(scenario)


def test_a_clock_that_was_set_back_repeats_no_event(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        sender = sender_of(services)
        services.event_bus.emit("store.events_lost", {"count": 1})
        services.clock.pass_(600)
        at = services.clock.now()
        intent = PowerIntent("1", HostName("w1"), PowerAction.OFF, Actor("alice", Source.API), at, owner=OWN)
        await sender.intents.add([intent])
        sender.record_request(intent)
        ended = await sender.intents.move(intent, IntentState.CANCELLED, at=at - MINUTE)
        assert ended is not None
        sender.record_end(ended)
        before = await recorded(services)

        await started(services, sender)

        assert len(before) == 2
        assert await recorded(services) == before

    with_services(scenario)


def test_a_daemon_records_them_when_it_starts(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        sender = sender_of(services)
        await stored(sender, "w1", IntentState.DONE)
        services.clock.pass_(600)
        requests = requests_of(services, sender)

        running = asyncio.create_task(requests.run())
        try:
            for _ in range(1000):
                if len(await recorded(services)) >= 2:
                    break
                await asyncio.sleep(0.01)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        assert [each[:3] for each in await recorded(services)] == [
            ("power.requested", "w1", None),
            ("power.ended", "w1", "done"),
        ]

    with_services(scenario)


def test_on_a_shared_store_those_of_appliances_that_run_no_longer_are_recorded(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(power_requests, "CHECK_S", 0.01)

    async def scenario(services: BuiltServices) -> None:
        sender = sender_of(services)
        running, readings = {OWN, "another", "killed"}, []

        def running_ids() -> Collection[str] | None:
            readings.append(None)
            return None if len(readings) < 3 else running

        await stored(sender, "lost", IntentState.DONE, owner="killed")
        await stored(sender, "taken", IntentState.FAILED)  # from one that was killed, or of this appliance itself
        await stored(sender, "other", IntentState.DONE, owner="another")
        services.clock.pass_(600)
        requests = requests_of(services, sender, running_ids=running_ids)

        async def turns(count: int) -> None:
            """Let the use cases read the appliances `count` times more."""
            until = len(readings) + count
            for _ in range(1000):
                if len(readings) >= until:
                    break
                await asyncio.sleep(0.01)

        run = asyncio.create_task(requests.run())
        try:
            await turns(4)
            at_once = await recorded(services)
            running.remove("killed")  # it has counted as running until now
            services.clock.pass_(20)
            for _ in range(1000):
                if len(await recorded(services)) >= 4:
                    break
                await asyncio.sleep(0.01)
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

        assert at_once == []
        assert sorted(each[:3] for each in await recorded(services)) == [
            ("power.ended", "lost", "done"),
            ("power.failed", "taken", "failed"),
            ("power.requested", "lost", None),
            ("power.requested", "taken", None),
        ]

    with_services(scenario)


def test_the_request_of_an_action_that_is_taken_over_is_recorded_once(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(power_requests, "CHECK_S", 0.01)

    async def scenario(services: BuiltServices) -> None:
        sender = sender_of(services)
        running = {OWN, "killed"}
        requests = requests_of(services, sender, running_ids=lambda: running)

        async def events(count: int) -> list[tuple[str, str, object, object]]:
            for _ in range(1000):
                if len(await recorded(services)) >= count:
                    break
                await asyncio.sleep(0.01)
            return await recorded(services)

        run = asyncio.create_task(requests.run())
        try:
            services.clock.pass_(60)  # the events of those that were lost before its start are recorded
            await asyncio.sleep(0.1)
            at, actor = services.clock.now(), Actor("alice", Source.API)
            intent = PowerIntent("1", HostName("w1"), PowerAction.OFF, actor, at, owner="killed")
            assert await sender.intents.add([intent]) == ()
            services.clock.pass_(20)
            running.remove("killed")
            found = await events(2)
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

        assert [each[:3] for each in found] == [("power.requested", "1", None), ("power.ended", "1", "cancelled")]
        assert found[0][3] == at

    with_services(scenario)
