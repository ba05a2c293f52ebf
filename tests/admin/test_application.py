"""A change is answered after its events are stored, or after a second if the store does not accept them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from admin.test_guard import FORMS, Pages, no_event
from aiohttp import web
from fixtures.access import OpenAccess, with_access

from netboot.admin.application import STORED_S, admin_application
from netboot.admin.pages.page_engine import PageEngine
from netboot.content.assets import assets_directory
from netboot.model.clock import utc_now

Scenario = Callable[[aiohttp.ClientSession], Awaitable[float]]


def answered_s(url: str, method: str, path: str, *, stored_s: float) -> tuple[int, float, bool]:
    """Send a request to an administration that stores events so slowly; return status, time, and whether it stored."""

    async def run(access: OpenAccess) -> tuple[int, float, bool]:
        begun: list[asyncio.Future[bool]] = []

        def store_events() -> asyncio.Future[bool]:
            begun.append(asyncio.ensure_future(asyncio.sleep(stored_s, True)))
            return begun[0]

        engine = PageEngine(assets_directory() / "pages", last_event_id=no_event, now=utc_now)
        application = admin_application(
            [Pages()],
            engine,
            configuration=Path("/etc/netboot.yaml"),
            access=access.uses,
            forms=FORMS,
            metrics=access.metrics,
            store_events=store_events,
        )
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            base = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with aiohttp.ClientSession(base) as client:
                began_s = time.monotonic()
                async with client.request(method, path) as answer:
                    took_s = time.monotonic() - began_s
                    return answer.status, took_s, bool(begun) and begun[0].done()
        finally:
            for each in begun:
                each.cancel()
            await runner.cleanup()

    found: tuple[int, float, bool] = with_access(url, run)
    return found


@pytest.mark.parametrize("path", ["/api/v1/nothing"])
def test_a_change_waits_for_its_events_and_a_reader_does_not(sqlite_url: str, path: str):
    changed = answered_s(sqlite_url, "POST", path, stored_s=0.3)
    read = answered_s(sqlite_url, "GET", path, stored_s=0.3)

    assert (changed[0], changed[1] >= 0.3, changed[2]) == (404, True, True)
    assert (read[0], read[2]) == (404, False)


def test_a_store_that_does_not_accept_events_delays_an_answer_by_a_second(sqlite_url: str):
    status, took_s, is_stored = answered_s(sqlite_url, "POST", "/api/v1/nothing", stored_s=60)

    assert (status, is_stored) == (404, False)
    assert STORED_S <= took_s < STORED_S + 10
