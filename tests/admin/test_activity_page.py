"""The page of activity: what is stored is text, whatever it is, and the URL keeps the filter."""

import asyncio
import logging
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from netboot.admin.pages.appliance.activity_page import ActivityPages, activity_view
from netboot.admin.pages.page_engine import PageEngine
from netboot.content.assets import assets_directory
from netboot.events.activity import ActivityLog, ActivityPage
from netboot.events.event_log import EventLog
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.store.database import Database

AT = datetime(2026, 11, 29, 2, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>\"'}}{{ 7*7 }}"
EMPTY = dict.fromkeys(("host", "mac", "event", "actor", "since", "until", "audit"), "")


def page_of(url: str, events: list[Event], path: str) -> tuple[int, str]:
    """Serve the page over a store with these events."""

    async def scenario() -> tuple[int, str]:
        database = await Database.open(url)
        try:
            event_log = EventLog(database)
            for event in events:
                event_log.take(event, logging.INFO)
            await event_log.flush()
            engine = PageEngine(assets_directory() / "pages", last_event_id=event_log.last_id, now=lambda: AT)
            app = web.Application()
            app.add_routes(ActivityPages(ActivityLog(database), engine, now=lambda: AT).routes())
            async with TestClient(TestServer(app)) as client:
                answer = await client.get(path)
                return answer.status, await answer.text()
        finally:
            await database.close()

    return asyncio.run(scenario())


def test_hostile_text_of_events_and_of_the_url_is_text(sqlite_url: str):
    events = [
        Event("audit.recorded", AT, data={"actor": HOSTILE, "action": HOSTILE, "outcome": HOSTILE}),
        Event("boot.offered", AT, HostName(HOSTILE), data={"name": HOSTILE}),
    ]

    status, body = page_of(sqlite_url, events, f"/activity?{urlencode({'since': '7d', 'until': '', 'actor': ''})}")
    refused, fault = page_of(sqlite_url, [], f"/activity?{urlencode(dict.fromkeys(EMPTY, HOSTILE))}")

    assert (status, refused) == (200, 400)
    for text in (body, fault):
        assert "<img" not in text
        assert "&lt;img src=x" in text
        assert "49" not in text.replace("2026", "")


def test_the_host_of_an_event_with_a_strange_name_is_one_segment_of_its_url():
    view = activity_view(EMPTY, [], ActivityPage([Event("boot.offered", AT, HostName("a/../b?c"), id=1)]))

    assert view.rows[0].url == "/hosts/a%2F..%2Fb%3Fc"


def test_links_keep_the_other_parts_of_the_filter():
    values = {**EMPTY, "host": "cp1", "since": "1h"}

    view = activity_view(values, ["boot.offered", "boot.script_served"], ActivityPage([], older_before=7), before="9")

    assert view.areas == ["boot.*"]
    assert view.older_url == "/activity?host=cp1&since=1h&before=7"
    assert view.newest_url == "/activity?host=cp1&since=1h"
    assert view.csv_url == "/api/v1/activity.csv?host=cp1&since=1h"
    assert [(link.label, link.url) for link in view.links if link.is_current] == [("last hour", "/activity?host=cp1")]


def test_an_event_has_the_colour_of_its_outcome():
    events = [
        Event("boot.alarm_raised", AT, HostName("cp1"), Mac("52:54:00:aa:bb:01"), id=4),
        Event("install.moved", AT, HostName("cp1"), step=Step.FAILED, id=3),
        Event("audit.recorded", AT, data={"outcome": "refused"}, id=2),
        Event("boot.offered", AT, None, Mac("52:54:00:aa:bb:01"), id=1),
    ]

    rows = activity_view(EMPTY, [], ActivityPage(events)).rows

    assert [row.tone for row in rows] == ["red", "red", "amber", ""]
    assert [(row.subject, row.url) for row in rows][2:] == [
        ("", ""),
        ("52:54:00:aa:bb:01", "/machines/52:54:00:aa:bb:01"),
    ]
