"""`netboot appliances`, with what a daemon answers, and without one."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from fixtures.command_line import CommandLine

THIS: dict[str, Any] = {
    "name": "a1",
    "url": "http://192.0.2.10:8080",
    "version": "1.0",
    "joined_at": (datetime.now(UTC) - timedelta(hours=2)).isoformat(),
    "is_this": True,
    "is_lost": False,
    "unseen_s": 0.0,
    "differs": {},
    "problems": [],
}
OTHER = {
    **THIS,
    "name": "a2\x1b",
    "is_this": False,
    "differs": {"hosts": [f"w{number}" for number in range(7)], "version": ["1.1"]},
    "problems": ["a2 has another hosts file; copy it"],
}
LOST = {**THIS, "name": "a3", "is_this": False, "is_lost": True, "unseen_s": 180.0}


@contextmanager
def daemon(netboot: CommandLine, status: Mapping[str, Any]) -> Iterator[None]:
    """Answer /api/v1/status on the control socket, as a daemon with this status does."""
    loop = asyncio.new_event_loop()

    async def serve() -> web.AppRunner:
        application = web.Application()

        async def show(_request: web.Request) -> web.Response:
            return web.json_response(status)

        application.add_routes([web.get("/api/v1/status", show)])
        runner = web.AppRunner(application)
        await runner.setup()
        await web.UnixSite(runner, str(netboot.directory / "control.sock")).start()
        return runner

    runner = loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_each_appliance_has_its_state_and_what_differs_and_the_problems_are_warnings(netboot: CommandLine):
    with daemon(netboot, {"appliances": [THIS, OTHER, LOST]}):
        done = netboot("appliances")
        as_json = netboot("appliances", "--json")

    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        ["APPLIANCE", "URL", "VERSION", "STATE", "SINCE", "DIFFERS FROM THIS ONE"],
        ["a1", THIS["url"], "1.0", "this", "2 h ago", "–"],
        ["a2\ufffd", THIS["url"], "1.0", "running", "2 h ago", "hosts: w0, w1, w2, w3, w4 and 2 more; version: 1.1"],
        ["a3", THIS["url"], "1.0", "lost for 3 min", "2 h ago", "–"],
    ]
    assert done.stderr == "warning: a2 has another hosts file; copy it\n"
    assert (as_json.exit_code, as_json.stderr) == (0, "")


def test_a_store_of_sqlite_has_one_appliance_and_without_a_daemon_nothing_is_known(netboot: CommandLine):
    with daemon(netboot, {"appliances": []}):
        alone, as_json = netboot.printed("appliances"), netboot.json("appliances")
    refused = netboot("appliances")

    assert (alone.startswith("the store is SQLite, which is for one appliance"), as_json) == (True, [])
    assert str(refused.exception) == (
        f"no daemon listens on {netboot.directory}/control.sock; systemctl start netboot, or netboot serve"
    )
