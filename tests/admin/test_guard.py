"""What the guard serves on loopback without a login, to a client of its own, over TCP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from netboot.admin.access.csrf import FormTokens
from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of, requester_of
from netboot.admin.application import admin_application
from netboot.admin.pages.page_engine import PageEngine
from netboot.content.assets import assets_directory
from netboot.model.access.access_rule import Channel, Need
from netboot.model.clock import utc_now

FORMS = FormTokens(b"a key")
CSRF = FORMS.of_channel(Channel.LOOPBACK)
WRONG_FORM = "this form belongs to another login or to an earlier run of netboot; nothing was changed"
Scenario = Callable[[aiohttp.ClientSession], Awaitable[Any]]


class Pages:
    """Routes of pages and of the API, one for each need."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login", self.login),
            web.post("/login", self.login),
            web.get("/rack", self.show),
            web.post("/rack", self.change),
            web.get("/users", self.manage),
            web.post("/large", self.large),
            web.post("/api/v1/change", self.change),
        ]

    @needs(Need.OPEN)
    async def login(self, _request: web.Request) -> web.Response:
        return web.Response(text="login")

    async def show(self, request: web.Request) -> web.Response:
        actor, found = actor_of(request), requester_of(request)
        refused = [need.value for need in Need if found.refusal(need)]
        return web.json_response([actor.name, actor.source, found.channel, found.csrf, refused])

    async def change(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.changes.append({name: value for name, value in form.items() if isinstance(value, str)})
        return web.Response(text=actor_of(request).source)

    @needs(Need.MANAGE)
    async def manage(self, _request: web.Request) -> web.Response:
        return web.Response(text="users")

    @needs(Need.CHANGE, largest_form_bytes=3 << 20)
    async def large(self, request: web.Request) -> web.Response:
        file = (await request.post())["file"]
        assert isinstance(file, web.FileField)
        return web.Response(text=str(len(file.file.read())))


async def no_event() -> int:
    return 0


def served(scenario: Scenario) -> Any:
    """Run a scenario with a client on loopback."""

    async def run() -> Any:
        engine = PageEngine(assets_directory() / "pages", last_event_id=no_event, now=utc_now)
        configuration = Path("/etc/netboot.yaml")
        application = admin_application([Pages()], engine, configuration=configuration, forms=FORMS)
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
                return await scenario(client)
        finally:
            await runner.cleanup()

    return asyncio.run(run())


async def sent(client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, str]:
    async with client.request(method, path, allow_redirects=False, **options) as answer:
        return answer.status, await answer.text()


def answer(method: str, path: str, **options: Any) -> tuple[int, str]:
    found: tuple[int, str] = served(lambda client: sent(client, method, path, **options))
    return found


def multipart(**fields: str | bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in fields.items():
        is_file = isinstance(value, bytes)
        form.add_field(name, BytesIO(value) if isinstance(value, bytes) else value, filename="x" if is_file else None)
    return form


def test_loopback_reads_and_changes_while_no_user_exists_but_manages_nobody():
    async def scenario(client: aiohttp.ClientSession) -> list[Any]:
        show = await client.get("/rack")
        return [await show.json(), await sent(client, "GET", "/users"), await sent(client, "GET", "/login")]

    shown, manage, login = served(scenario)

    assert shown == ["a process on 127.0.0.1", "page", "loopback", CSRF, ["manage"]]
    assert (manage[0], json.loads(manage[1])["error"]) == (
        401,
        "users and API tokens are managed by a user of role admin, or on the appliance: netboot user, netboot token",
    )
    assert login == (200, "login")


def test_a_refused_program_learns_how_to_authenticate_and_a_browser_is_sent_to_the_login():
    async def scenario(client: aiohttp.ClientSession) -> list[str]:
        program = await client.get("/users?a=1")
        browser = await client.get("/users?a=1", headers={"Accept": "text/html,*/*"}, allow_redirects=False)
        return [program.headers["WWW-Authenticate"], str(browser.status), browser.headers["Location"]]

    assert served(scenario) == ['Bearer realm="netboot"', "303", "/login?next=/users%3Fa%3D1"]


@pytest.mark.parametrize(
    "sending",
    [
        {"data": {"csrf": CSRF, "host": "w1"}},
        {"data": multipart(csrf=CSRF, host="w1")},
        {"data": {"host": "w1"}, "headers": {"X-CSRF-Token": CSRF}},
    ],
)
def test_a_form_with_the_token_of_its_page_is_taken(sending: dict[str, Any]):
    assert answer("POST", "/rack", **sending) == (200, "page")


@pytest.mark.parametrize(
    "sending",
    [
        {"data": {"host": "w1"}},
        {"data": {"csrf": "", "host": "w1"}},
        {"data": {"csrf": FORMS.of_channel(Channel.NETWORK)}},
        {"data": {"csrf": "é"}},
        {"data": multipart(csrf=CSRF.encode())},
        {"json": {"csrf": CSRF}},
        {"data": b"csrf=" + CSRF.encode(), "headers": {"Content-Type": "text/plain"}},
        {"headers": {"X-CSRF-Token": "x"}, "data": {"csrf": CSRF}},
        {},
    ],
)
def test_a_form_without_it_is_refused(sending: dict[str, Any]):
    status, text = answer("POST", "/rack", **sending)

    assert (status, WRONG_FORM in text) == (403, True)


def test_a_program_on_loopback_needs_no_token_of_a_form():
    assert answer("POST", "/api/v1/change", data=b'{"reason": "x"}') == (200, "api")


@pytest.mark.parametrize(
    ("path", "sending", "status"),
    [
        ("/login", {"data": {"csrf": FORMS.of_channel(Channel.LOOPBACK), "password": "x" * (1 << 14)}}, 413),
        ("/rack", {"data": multipart(csrf=CSRF, file=b"x" * (1 << 20))}, 413),
        ("/rack", {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ("/rack", {"data": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=a"}}, 400),
        ("/large", {"data": multipart(csrf=CSRF, file=b"x" * (2 << 20))}, 200),
        ("/large", {"data": multipart(csrf=CSRF, file=b"x" * (3 << 20))}, 413),
    ],
)
def test_a_form_that_is_large_or_malformed_is_refused(path: str, sending: dict[str, Any], status: int):
    assert answer("POST", path, **sending)[0] == status
