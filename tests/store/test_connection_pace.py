"""A server that hangs gets few sessions, and is used again soon after it goes on: a proxy before a real PostgreSQL."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import make_url

from netboot.errors import StoreError
from netboot.store import database
from netboot.store.database import Database
from netboot.store.engine import connection_pace

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)]

READERS = 30  # at once; the pool has 15 connections
POOL = 15
_FIELDS = b"SFATAL\0VFATAL\0C53300\0Msorry, too many clients already\0\0"
FULL = b"E" + (len(_FIELDS) + 4).to_bytes(4, "big") + _FIELDS  # ErrorResponse
REFUSED = "the store failed: sorry, too many clients already; "


@dataclass
class Proxy:
    """Passes bytes between clients and a server; while it hangs, it accepts connections and passes nothing."""

    server: Path
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    is_full: bool = False
    sessions: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        if self.is_full:
            with suppress(OSError):  # the client may have given up
                await reader.read(1)
                writer.write(FULL)
                await writer.drain()
            writer.close()
            return
        await self.goes_on.wait()
        there, back = await asyncio.open_unix_connection(str(self.server))
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                await self.goes_on.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def a_proxy(store_url: str, directory: Path) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy; yield it with the URL of the store behind it."""
    url = make_url(store_url)
    proxy = Proxy(Path(str(url.query["host"])) / ".s.PGSQL.5432")
    proxy.goes_on.set()
    listener = await asyncio.start_unix_server(proxy.serve, directory / ".s.PGSQL.5432")
    try:
        through = url.update_query_dict({"host": str(directory)})
        yield proxy, through.render_as_string(hide_password=False)
    finally:
        proxy.goes_on.set()
        listener.close()


def with_proxy(
    store_url: str,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Proxy, Database], Awaitable[Any]],
) -> Any:
    monkeypatch.setattr(database, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(database, "LATE_S", 0.2)
    monkeypatch.setattr(connection_pace, "ANSWERED_S", 0.1)

    async def scenario() -> Any:
        async with a_proxy(store_url, directory) as (proxy, url):
            monkeypatch.setattr(database, "TIMEOUT_S", 10.0)
            store = await Database.open(url)
            monkeypatch.setattr(database, "TIMEOUT_S", 0.2)
            try:
                return await work(proxy, store)
            finally:
                proxy.goes_on.set()
                await store.close()

    return asyncio.run(scenario())


async def read_for(store: Database, seconds: float) -> set[str]:
    """Let many read at once, again and again; return the faults."""
    until_s, faults = asyncio.get_running_loop().time() + seconds, set()

    async def read() -> None:
        while asyncio.get_running_loop().time() < until_s:
            try:
                await store.ping()
            except StoreError as error:
                faults.add(str(error))

    await asyncio.gather(*(read() for _ in range(READERS)))
    return faults


def test_a_server_that_hangs_gets_few_sessions_and_is_used_again_when_it_goes_on(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def work(proxy: Proxy, store: Database) -> tuple[int, set[str]]:
        before = proxy.sessions
        proxy.goes_on.clear()
        faults = await read_for(store, 4.0)
        opened = proxy.sessions - before
        for limit in ("TIMEOUT_S", "LATE_S"):  # a server that runs may take longer than 0.2 s on a loaded box
            monkeypatch.setattr(database, limit, 10.0)
        proxy.goes_on.set()
        assert await read_for(store, 0.1) == set()
        return opened, faults

    opened, faults = with_proxy(store_url, tmp_path, monkeypatch, work)

    # at first one for each connection of the pool: it is opened, or it was open and its query is cancelled by another;
    # then one after each pause: 0.25, 0.75, 1.75 and 3.75 s after the first was given up, and the next after 7.75 s
    assert opened <= POOL + 4
    assert faults == {"the store did not answer within 0.2 s; check the load of its disk, or of its database server"}


@pytest.mark.parametrize("hangs", [True, False])
def test_a_server_without_a_session_left_is_not_enlarged_if_it_keeps_those_that_were_given_up(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
):
    async def work(proxy: Proxy, store: Database) -> set[str]:
        if hangs:
            proxy.goes_on.clear()
            await read_for(store, 0.5)
        proxy.is_full = True
        proxy.goes_on.set()
        return await read_for(store, 3.0)

    faults = with_proxy(store_url, tmp_path, monkeypatch, work)

    cure = (
        "the server did not answer the sessions before, and has not ended them: check the load of its disk, or "
        "restart it"
    )
    assert REFUSED + (cure if hangs else "raise max_connections of the server") in faults
    assert not [fault for fault in faults if hangs and "max_connections" in fault]


def test_the_pauses_grow_up_to_the_longest_and_end_with_an_answer(monkeypatch: pytest.MonkeyPatch, store_url: str):
    now_s = 0.0
    monkeypatch.setattr(connection_pace, "_now_s", lambda: now_s)
    pace, pauses = connection_pace.ConnectionPace(), []
    for _ in range(9):
        pace.note_given_up()
        pace.note_given_up()  # of the same moment
        pauses.append(pace._next_s - now_s)
        now_s = pace._next_s

    pace.note_answered(opened_s=now_s - 31)
    is_hanging = pace.is_hanging
    pace.note_answered(opened_s=now_s)

    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert (is_hanging, pace.is_hanging) == (True, False)


NOT_ANSWERED: Final = TimeoutError()  # of asyncio: the time of the driver is over
UNREACHABLE: Final = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))  # of the kernel: there is no session


@pytest.mark.parametrize(
    ("error", "cause", "opened_s", "hangs_before", "pause_s"),
    [
        (asyncio.CancelledError(), None, 1.0, False, None),  # a client that disconnects while a connection is opened
        (asyncio.CancelledError(), None, 1.1, False, 0.25),
        (asyncio.CancelledError(), None, 0.1, True, 0.5),
        (StoreError("no answer"), NOT_ANSWERED, 0.5, False, 0.25),
        (StoreError("no route"), UNREACHABLE, 130.0, False, None),
        (StoreError("refused"), ConnectionRefusedError(), 2.0, False, None),
    ],
)
def test_a_server_hangs_if_it_leaves_a_connection_without_an_answer_for_more_than_a_second(
    monkeypatch: pytest.MonkeyPatch,
    store_url: str,
    error: BaseException,
    cause: BaseException | None,
    opened_s: float,
    hangs_before: bool,
    pause_s: float | None,
):
    now_s = 0.0
    monkeypatch.setattr(connection_pace, "_now_s", lambda: now_s)
    pace = connection_pace.ConnectionPace()
    if hangs_before:
        pace.note_given_up()
        now_s = 1.0  # the pause is over

    with suppress(asyncio.CancelledError, StoreError), pace.opening():
        now_s += opened_s
        raise error from cause

    assert (pace.is_hanging, pace._next_s - now_s) == (pause_s is not None, pause_s or float("-inf"))
