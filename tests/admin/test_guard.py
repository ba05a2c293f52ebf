"""What the guard serves on loopback, without and with a login or an API token, to a client of its own, over TCP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fixtures.access import PASSWORD, OpenAccess, with_access

from netboot.admin.access.browser_login import SESSION_COOKIE
from netboot.admin.access.csrf import FormTokens
from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of, requester_of
from netboot.admin.access.turns import AT_ONCE
from netboot.admin.application import admin_application
from netboot.admin.pages.page_engine import PageEngine
from netboot.content.assets import assets_directory
from netboot.errors import StoreError
from netboot.model.access.access_rule import Channel, Need, UserRole
from netboot.model.clock import utc_now
from netboot.operate.access.api_tokens import NewToken
from netboot.operate.access.user_accounts import NewUser
from netboot.store.access.account_store import AccountStore, StoredAccounts
from netboot.store.database import Database

FORMS = FormTokens(b"a key")
CSRF = FORMS.of_channel(Channel.LOOPBACK)
WRONG_FORM = "this form belongs to another login or to an earlier run of netboot; nothing was changed"
Scenario = Callable[["Served"], Awaitable[Any]]


class Pages:
    """Routes of pages and of the API, one for each need."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []
        self.running = self.most_running = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login", self.login),
            web.post("/login", self.login),
            web.get("/rack", self.show),
            web.post("/rack", self.change),
            web.get("/users", self.manage),
            web.post("/large", self.large),
            web.post("/api/v1/change", self.change),
            web.get("/api/v1/stream", self.stream),
            web.get("/api/v1/slow", self.slow),
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

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b".")
            await asyncio.sleep(0.01)

    async def slow(self, _request: web.Request) -> web.Response:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        await asyncio.sleep(0.05)
        self.running -= 1
        return web.Response()

    @needs(Need.CHANGE, largest_form_bytes=3 << 20)
    async def large(self, request: web.Request) -> web.Response:
        file = (await request.post())["file"]
        assert isinstance(file, web.FileField)
        return web.Response(text=str(len(file.file.read())))


async def no_event() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Served:
    """A client of the pages above, and the use cases behind them."""

    client: aiohttp.ClientSession
    access: OpenAccess
    pages: Pages

    async def send(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        async with self.client.request(method, path, allow_redirects=False, **options) as answer:
            return answer.status, await answer.text()


def served(
    scenario: Scenario,
    *,
    source: str = "127.0.0.1",
    store_of: Callable[[Database], AccountStore] = AccountStore,
) -> Any:
    """Run a scenario with a client on loopback."""

    async def run(access: OpenAccess) -> Any:
        engine, pages = PageEngine(assets_directory() / "pages", last_event_id=no_event, now=utc_now), Pages()
        application = admin_application(
            [pages],
            engine,
            configuration=Path("/etc/netboot.yaml"),
            access=access.uses,
            forms=FORMS,
            metrics=access.metrics,
            store_events=lambda: asyncio.ensure_future(asyncio.sleep(0, True)),
        )
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with client_from(source, url) as client:
                return await scenario(Served(client, access, pages))
        finally:
            await runner.cleanup()

    with TemporaryDirectory() as directory:
        return with_access(f"sqlite+aiosqlite:///{directory}/netboot.db", run, store_of=store_of)


def client_from(source: str, url: str) -> aiohttp.ClientSession:
    """Open a client at an address; it keeps no cookies."""
    connector = aiohttp.TCPConnector(local_addr=(source, 0))
    return aiohttp.ClientSession(url, connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def answer(method: str, path: str, **options: Any) -> tuple[int, str]:
    found: tuple[int, str] = served(lambda served: served.send(method, path, **options))
    return found


def multipart(**fields: str | bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for name, value in fields.items():
        is_file = isinstance(value, bytes)
        form.add_field(name, BytesIO(value) if isinstance(value, bytes) else value, filename="x" if is_file else None)
    return form


def test_loopback_reads_and_changes_while_no_user_exists_but_manages_nobody():
    async def scenario(box: Served) -> list[Any]:
        show = await box.client.get("/rack")
        return [await show.json(), await box.send("GET", "/users"), await box.send("GET", "/login")]

    shown, manage, login = served(scenario)

    assert shown == ["a process on 127.0.0.1", "page", "loopback", CSRF, ["manage"]]
    assert (manage[0], json.loads(manage[1])["error"]) == (
        401,
        "users and API tokens are managed by a user of role admin, or on the appliance: netboot user, netboot token",
    )
    assert login == (200, "login")


class HangingStore(AccountStore):
    """Hangs at a reading of the accounts until it fails, and fails until it is well."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.readings = 0
        self.has_failed = asyncio.Event()
        self.is_well = False

    async def all(self) -> StoredAccounts:
        self.readings += 1
        await self.has_failed.wait()
        if not self.is_well:
            raise StoreError("the store did not answer")
        return await super().all()


@pytest.mark.parametrize(
    ("sent", "status", "status_when_well"),
    [
        ({}, 200, 200),
        ({"Authorization": "Bearer nb_wrong"}, 503, 401),
        ({"Cookie": f"{SESSION_COOKIE}=wrong"}, 503, 401),
    ],
)
def test_only_what_all_may_read_is_answered_while_the_store_hangs_and_all_requests_wait_for_one_reading(
    sent: dict[str, str], status: int, status_when_well: int
):
    async def scenario(box: Served) -> list[Any]:
        store = box.access.store
        assert isinstance(store, HangingStore)
        async with asyncio.timeout(20):
            shown = asyncio.gather(*[box.send("GET", "/rack", headers=sent) for _ in range(5)])
            logins = await asyncio.gather(*[box.send("GET", "/login", headers=sent) for _ in range(20)])
            assert not shown.done()
            store.has_failed.set()
            found = {status for status, _ in await shown}
            store.is_well = True
            found_when_well, _ = await box.send("GET", "/rack", headers=sent)
            return [set(logins), found, found_when_well, store.readings]

    assert served(scenario, store_of=HangingStore) == [{(200, "login")}, {status}, status_when_well, 2]


def test_a_refused_program_learns_how_to_authenticate_and_a_browser_is_sent_to_the_login():
    async def scenario(box: Served) -> list[str]:
        program = await box.client.get("/users?a=1")
        browser = await box.client.get("/users?a=1", headers={"Accept": "text/html,*/*"}, allow_redirects=False)
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


async def credentials(box: Served, role: UserRole) -> dict[str, dict[str, str]]:
    """Make a user and an API token of a role; return the headers that a browser and a program send."""
    await box.access.uses.users.add(NewUser("alice", role, PASSWORD))
    login = await box.access.uses.logins.log_in("alice", PASSWORD, "127.0.0.1")
    token = await box.access.uses.tokens.create(NewToken("ci", role, timedelta(hours=1)))
    cookie = f"{SESSION_COOKIE}={login.cookie}"
    return {
        "session": {"Cookie": cookie, "X-CSRF-Token": FORMS.of_session(login.cookie)},
        "session without the token of the form": {"Cookie": cookie},
        "token": {"Authorization": f"Bearer {token.token}"},
        "wrong token": {"Authorization": "Bearer nb_wrong"},
        "another scheme": {"Authorization": "Basic YWxpY2U6eA=="},
        "wrong session": {"Cookie": f"{SESSION_COOKIE}=wrong"},
        "wrong token and a session": {"Cookie": cookie, "Authorization": "Bearer nb_wrong"},
        "nothing": {},
    }


REQUESTS = [("GET", "/login"), ("GET", "/rack"), ("POST", "/rack"), ("POST", "/api/v1/change"), ("GET", "/users")]
ROWS = {
    (UserRole.ADMIN, "session"): [200, 200, 200, 200, 200],
    (UserRole.ADMIN, "session without the token of the form"): [200, 200, 403, 403, 200],
    (UserRole.ADMIN, "token"): [200, 200, 200, 200, 200],
    (UserRole.READ_ONLY, "session"): [200, 200, 403, 403, 403],
    (UserRole.READ_ONLY, "token"): [200, 200, 403, 403, 403],
    (UserRole.ADMIN, "wrong token"): [401, 401, 401, 401, 401],
    (UserRole.ADMIN, "another scheme"): [401, 401, 401, 401, 401],
    (UserRole.ADMIN, "wrong token and a session"): [401, 401, 401, 401, 401],
    (UserRole.ADMIN, "wrong session"): [200, 401, 401, 401, 401],
    (UserRole.READ_ONLY, "nothing"): [200, 200, 401, 401, 401],
}


@pytest.mark.parametrize(("role", "sent"), ROWS)
def test_each_row_of_the_rule_on_loopback_when_a_user_exists(role: UserRole, sent: str):
    async def scenario(box: Served) -> list[int]:
        headers = (await credentials(box, role))[sent]
        return [(await box.send(method, path, headers=headers))[0] for method, path in REQUESTS]

    assert served(scenario) == ROWS[role, sent]


def test_a_session_of_another_address_ends_and_its_cookie_is_deleted():
    async def scenario(box: Served) -> list[Any]:
        headers = (await credentials(box, UserRole.ADMIN))["session"]
        async with (
            client_from("127.0.0.2", str(box.client._base_url)) as thief,
            thief.get("/rack", headers=headers) as stolen,
        ):
            found = [stolen.status, stolen.headers["Set-Cookie"]]
        own = await box.client.get("/rack", headers={**headers, "Accept": "text/html"}, allow_redirects=False)
        login = await box.client.get("/login", headers=headers)
        return [*found, own.status, own.headers["Location"], login.status, login.headers["Set-Cookie"]]

    cleared = f'{SESSION_COOKIE}=""; Max-Age=0; Path=/; HttpOnly; SameSite=Strict'
    assert served(scenario) == [401, cleared, 303, "/login?next=/rack", 200, cleared]


@pytest.mark.parametrize("sent", ["session", "token"])
def test_a_stream_ends_with_the_session_or_token_that_requested_it(sent: str):
    async def scenario(box: Served) -> None:
        headers = (await credentials(box, UserRole.ADMIN))[sent]
        async with box.client.get("/api/v1/stream", headers=headers) as stream:
            assert await stream.content.readexactly(3) == b"..."
            if sent == "token":
                await box.access.uses.tokens.revoke("ci")
            else:
                await box.access.uses.users.remove("alice")
            with pytest.raises(aiohttp.ClientPayloadError):
                async with asyncio.timeout(5):
                    await stream.content.read()

    served(scenario)


def test_of_each_requester_a_few_requests_are_answered_at_once():
    async def scenario(box: Served) -> tuple[int, int]:
        token = (await credentials(box, UserRole.READ_ONLY))["token"]
        await asyncio.gather(*[box.send("GET", "/api/v1/slow", headers=token) for _ in range(20)])
        of_one = box.pages.most_running
        await asyncio.gather(
            *[box.send("GET", "/api/v1/slow", headers=each) for each in (token, {}) for _ in range(20)]
        )
        return of_one, box.pages.most_running

    of_one, of_two = served(scenario)
    assert of_one == AT_ONCE
    assert AT_ONCE < of_two <= 2 * AT_ONCE


def test_streams_leave_their_turns_to_other_requests():
    async def scenario(box: Served) -> tuple[int, str]:
        async with AsyncExitStack() as open_streams:
            for _ in range(AT_ONCE):
                await open_streams.enter_async_context(box.client.get("/api/v1/stream"))
            async with asyncio.timeout(3):
                return await box.send("GET", "/api/v1/slow")

    assert served(scenario) == (200, "")


def test_what_is_open_waits_for_no_page():
    async def scenario(box: Served) -> int:
        pages = [asyncio.create_task(box.send("GET", "/api/v1/slow")) for _ in range(10 * AT_ONCE)]
        await box.send("GET", "/login")
        unanswered = sum(not each.done() for each in pages)
        await asyncio.gather(*pages)
        return unanswered

    assert served(scenario) > AT_ONCE


def test_a_request_that_waits_leaves_its_turn_to_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("netboot.admin.access.turns.LONGEST_S", 0.01)

    async def scenario(box: Served) -> int:
        await asyncio.gather(*[box.send("GET", "/api/v1/slow") for _ in range(3 * AT_ONCE)])
        return box.pages.most_running

    assert served(scenario) > AT_ONCE


def test_a_stream_ends_when_its_token_expires():
    async def scenario(box: Served) -> None:
        headers = (await credentials(box, UserRole.ADMIN))["token"]
        box.access.clock.passed = timedelta(hours=1, milliseconds=-300)
        async with box.client.get("/api/v1/stream", headers=headers) as stream:
            with pytest.raises(aiohttp.ClientPayloadError):
                async with asyncio.timeout(5):
                    await stream.content.read()

    served(scenario)


def test_the_actor_of_a_change_is_the_user_or_the_token_with_its_source():
    async def scenario(box: Served) -> list[Any]:
        sent = await credentials(box, UserRole.ADMIN)
        found = []
        for which in ("session", "token", "nothing"):
            async with box.client.get("/rack", headers=sent[which]) as answer:
                found.append((await answer.json())[:2])
        return found

    assert served(scenario) == [["alice", "page"], ["token ci", "api"], ["a process on 127.0.0.1", "page"]]


def test_refusals_are_counted():
    async def scenario(box: Served) -> bytes:
        sent = await credentials(box, UserRole.READ_ONLY)
        await box.send("POST", "/api/v1/change")
        await box.send("POST", "/api/v1/change", headers=sent["token"])
        await box.send("POST", "/login")
        return box.access.metrics.exposition()

    lines = served(scenario).decode().splitlines()
    counted = [line for line in lines if line.startswith("netboot_admin_refused_total")]
    assert counted == [f'netboot_admin_refused_total{{reason="{reason}"}} 1.0' for reason in ("login", "role", "form")]
