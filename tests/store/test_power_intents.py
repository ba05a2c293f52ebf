"""The table of power intents: one open intent of a host, and moves by compare-and-set."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from netboot.model.actor import Actor, Source
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.host.host import HostName
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.store.database import Database
from netboot.store.power.power_intents import KEPT, PowerIntents

AT: Final = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
CP1, CP2 = HostName("cp1"), HostName("cp2")
ALICE: Final = Actor("alice", Source.API)


def an_intent(intent_id: str, host: HostName = CP1, *, minutes: int = 0) -> PowerIntent:
    return PowerIntent(
        intent_id,
        host,
        PowerAction.PXE,
        ALICE,
        AT + timedelta(minutes=minutes),
        network_boot=NetworkBoot.HTTP_URI,
        uri="http://192.0.2.10:8080/boot/52-54-00-aa-bb-01/snponly.efi",
        is_forced=True,
        owner="a",
    )


def with_store(store_url: str, work: Callable[[PowerIntents], Awaitable[None]]) -> None:
    async def scenario() -> None:
        database = await Database.open(store_url)
        try:
            await work(PowerIntents(database))
        finally:
            await database.close()

    asyncio.run(scenario())


def test_an_intent_is_read_as_it_was_stored(store_url: str):
    async def work(intents: PowerIntents) -> None:
        first, second = an_intent("1"), an_intent("2", CP2, minutes=1)

        assert await intents.add([second, first]) == ()

        assert await intents.open() == [first, second]
        assert await intents.get("2") == second
        assert await intents.get("3") is None
        assert await intents.newest([CP1, CP2, HostName("w1")]) == {CP1: first, CP2: second}

    with_store(store_url, work)


def test_a_host_with_an_open_intent_gets_no_other_and_neither_do_the_hosts_beside_it(store_url: str):
    async def work(intents: PowerIntents) -> None:
        first = an_intent("1")
        await intents.add([first])

        assert await intents.add([an_intent("2", CP2), an_intent("3", minutes=1)]) == [first]

        assert await intents.open() == [first]

    with_store(store_url, work)


def test_a_request_that_is_repeated_with_its_id_is_stored_once(store_url: str):
    async def work(intents: PowerIntents) -> None:
        first = an_intent("1")
        await intents.add([first])
        done = await intents.move(first, IntentState.DONE, at=AT, detail="it was on already")

        assert await intents.add([replace(first, requested_at=AT + timedelta(minutes=1))]) == ()

        assert await intents.of_host(CP1) == [done]

    with_store(store_url, work)


def test_of_two_appliances_that_request_for_one_host_at_once_one_succeeds(store_url: str):
    async def scenario() -> None:
        databases = [await Database.open(store_url) for _ in range(2)]
        try:
            pairs = [(PowerIntents(database), an_intent(str(number))) for number, database in enumerate(databases)]
            found = await asyncio.gather(*(intents.add([each]) for intents, each in pairs))

            stored = await pairs[0][0].open()
            assert len(stored) == 1
            assert sorted(map(len, found)) == [0, 1]
            assert [list(each) for each in found if each] == [stored]
        finally:
            for database in databases:
                await database.close()

    asyncio.run(scenario())


def test_an_intent_moves_only_for_the_appliance_that_has_read_it_last(store_url: str):
    async def work(intents: PowerIntents) -> None:
        first = an_intent("1")
        await intents.add([first])
        taken = await intents.claim(first, "b")
        assert taken == replace(first, owner="b")

        assert await intents.claim(first, "c") is None
        assert await intents.move(first, IntentState.SENDING, at=AT) is None
        sent = await intents.move(taken, IntentState.SENDING, at=AT)
        assert sent == replace(taken, state=IntentState.SENDING, sent_at=AT)
        assert await intents.move(taken, IntentState.SENDING, at=AT) is None

        assert await intents.get("1") == sent

    with_store(store_url, work)


def test_the_newest_intents_of_a_host_are_kept(store_url: str):
    async def work(intents: PowerIntents) -> None:
        for number in range(KEPT + 2):
            each = an_intent(str(number), minutes=number)
            await intents.add([each])
            await intents.move(each, IntentState.CANCELLED, at=AT)

        await intents.add([an_intent("last", minutes=KEPT + 2), an_intent("other", CP2)])

        kept = [each.id for each in await intents.of_host(CP1, limit=2 * KEPT)]
        assert kept == ["last", *(str(number) for number in range(KEPT + 1, 2, -1))][:KEPT]
        assert [each.id for each in await intents.of_host(CP2)] == ["other"]

    with_store(store_url, work)


def test_an_unknown_intent_is_listed_until_a_later_one_of_its_host_follows(store_url: str):
    async def work(intents: PowerIntents) -> None:
        first, other = an_intent("1"), an_intent("2", CP2)
        await intents.add([first, other])
        sending = await intents.move(first, IntentState.SENDING, at=AT)
        assert sending is not None
        unknown = await intents.move(sending, IntentState.UNKNOWN, at=AT)
        await intents.move(other, IntentState.FAILED, at=AT)

        assert await intents.unknown() == [unknown]

        await intents.add([an_intent("3", minutes=1)])
        assert await intents.unknown() == []
        assert (await intents.newest([CP1]))[CP1].id == "3"

    with_store(store_url, work)
