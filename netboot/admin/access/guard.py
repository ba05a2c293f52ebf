"""Finds who sends each request, and refuses those that may not: the only place that decides it.

A stream of a session or API token ends with it: a user who is removed receives no further event.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from netboot.admin.access.browser_login import LOGIN_PATH, SESSION_COOKIE, clear_session, cleared_session
from netboot.admin.access.csrf import FormTokens, verified_form
from netboot.admin.access.needs import need_of
from netboot.admin.access.requester import Requester, actor_on, channel_of, is_api, note_requester
from netboot.admin.access.turns import Found, ReadingTurns
from netboot.errors import StoreError, no_answer_of_store
from netboot.model.access.access_rule import (
    AccessRefusal,
    Channel,
    Need,
    RefusalKind,
    RefusedCredential,
    access_refusal,
)
from netboot.model.access.accounts import SESSION_LONGEST, ApiToken, LoginSession
from netboot.operate.access.access_uses import AccessUses
from netboot.telemetry.metrics import Metrics

OPEN_WAIT_S: Final = 1.0
_READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_NO_BEARER: Final = RefusedCredential("Authorization must be Bearer with an API token; netboot token create", False)


def guard(access: AccessUses, forms: FormTokens, metrics: Metrics) -> Middleware:
    """Make the middleware that serves only what the requester may request, and notes who it is."""
    streams, turns = _Streams(access.now), ReadingTurns()
    access.on_ended(streams.end)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        channel, need = channel_of(request), need_of(request)
        unknown = await _unknown(request, access, channel, need)
        found = _credential_of(request, access, channel) if unknown is None else None
        requester = replace(
            _requester(request, channel, found, forms),
            has_users=unknown is not None or access.has_users,
            unknown=unknown,
        )
        note_requester(request, requester)
        role = found if isinstance(found, RefusedCredential) else requester.role
        refusal = access_refusal(need, channel, role, has_users=requester.has_users, unknown=unknown)
        if refusal is not None:
            metrics.count("admin_refused", reason=refusal.kind.value)
            return _refused(request, refusal, found)
        with streams.of(request, found):
            async with verified_form(request, requester, metrics) as verified, turns.of(verified, need, found):
                answer = await handler(verified)
        if isinstance(found, RefusedCredential) and not answer.prepared:
            clear_session(answer, request)
        return answer

    return guarded


async def _unknown(request: web.Request, access: AccessUses, channel: Channel, need: Need) -> str | None:
    """Wait for the accounts; return why they are not known. Raises StoreError if the request depends on them.

    The health, which shows that the store hangs, and the login wait `OPEN_WAIT_S` at most, with any credential.
    """
    try:
        async with asyncio.timeout(OPEN_WAIT_S if need is Need.OPEN else None):
            await access.load()
    except TimeoutError:
        return no_answer_of_store(OPEN_WAIT_S)
    except StoreError as error:
        has_credential = channel is not Channel.CONTROL_SOCKET and any(_credentials(request))
        if need is not Need.OPEN and (has_credential or (channel is Channel.LOOPBACK and need is Need.CHANGE)):
            raise
        return str(error)
    return None


def _credentials(request: web.Request) -> tuple[list[str], str | None]:
    return request.headers.getall("Authorization", []), request.cookies.get(SESSION_COOKIE)


def _credential_of(request: web.Request, access: AccessUses, channel: Channel) -> Found:
    """Find the session or API token of a request among the known ones; the control socket needs none."""
    headers, cookie = _credentials(request)
    if channel is Channel.CONTROL_SOCKET or not (headers or cookie):
        return None
    address = request.remote or ""
    if not headers:
        return access.logins.session_of(cookie or "", address)
    scheme, _, token = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer":
        return _NO_BEARER
    return access.tokens.token_of(token.strip(), address)


def _requester(request: web.Request, channel: Channel, found: Found, forms: FormTokens) -> Requester:
    match found:
        case LoginSession():
            actor, csrf = actor_on(request, session=found), forms.of_session(request.cookies[SESSION_COOKIE])
            return Requester(actor, channel, found.role, found, csrf)
        case ApiToken():
            return Requester(actor_on(request, token=found), channel, found.role)
        case _:
            return Requester(actor_on(request), channel, csrf=forms.of_channel(channel))


def _refused(request: web.Request, refusal: AccessRefusal, found: Found) -> web.Response:
    """Answer a refused request: a browser that loads a page is sent to the login."""
    if refusal.kind is RefusalKind.ROLE:
        raise web.HTTPForbidden(text=refusal.sentence)
    headers = {"Cache-Control": "no-store"}
    if isinstance(found, RefusedCredential) and found.is_session:
        headers["Set-Cookie"] = cleared_session(request)
    is_page = request.method in _READING and "text/html" in request.headers.get("Accept", "")
    if is_page and not is_api(request):
        location = f"{LOGIN_PATH}?next={quote(request.path_qs, safe='/')}"
        return web.Response(status=303, headers={**headers, "Location": location})
    raise web.HTTPUnauthorized(text=refusal.sentence, headers={**headers, "WWW-Authenticate": 'Bearer realm="netboot"'})


class _Streams:
    """The requests that only read, by their session or API token; they end with it."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._tasks: dict[str, set[asyncio.Task[object]]] = {}

    @contextmanager
    def of(self, request: web.Request, found: Found) -> Iterator[None]:
        """Let a request end when its credential does."""
        task = asyncio.current_task()
        if not isinstance(found, LoginSession | ApiToken) or request.method not in _READING or task is None:
            yield
            return
        tasks = self._tasks.setdefault(found.sha256, set())
        tasks.add(task)
        until = _end_of(found)
        timer = None
        if until is not None:
            left_s = max(0.0, (until - self._now()).total_seconds())
            timer = asyncio.get_running_loop().call_later(left_s, task.cancel)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            tasks.discard(task)
            if not tasks:
                self._tasks.pop(found.sha256, None)

    def end(self, sha256: str) -> None:
        """End the requests of a session or API token, except for the one that ends it."""
        for task in self._tasks.get(sha256, set()) - {asyncio.current_task()}:
            task.cancel()


def _end_of(found: LoginSession | ApiToken) -> datetime | None:
    return found.began_at + SESSION_LONGEST if isinstance(found, LoginSession) else found.expires_at
