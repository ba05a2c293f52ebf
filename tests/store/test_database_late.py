"""A store that answered late is not waited for as long by the next readers, so that a page still shows its fault."""

import asyncio
import time

import pytest

from netboot.errors import StoreError
from netboot.store import database
from netboot.store.database import Database


def test_after_a_late_answer_readers_wait_shortly_until_the_store_answers_again(
    store_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "TIMEOUT_S", 1.5)
    monkeypatch.setattr(database, "LATE_S", 0.1)

    async def late_s(opened: Database) -> float:
        began_s = time.monotonic()
        with pytest.raises(StoreError, match="the store did not answer within"):
            async with opened.reading():
                await asyncio.sleep(60)  # as long as no answer comes
        return time.monotonic() - began_s

    async def scenario() -> list[float]:
        opened = await Database.open(store_url)
        waited = [await late_s(opened), await late_s(opened)]
        await opened.ping()
        waited.append(await late_s(opened))
        await opened.close()
        return waited

    first_s, second_s, third_s = asyncio.run(scenario())

    assert first_s >= 1.5
    assert second_s < 1.5
    assert third_s >= 1.5
