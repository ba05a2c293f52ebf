"""Renders the pages from the templates of `assets/pages`, with the headers that let a browser run our scripts only."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from netboot import __version__
from netboot.admin.access.browser_login import LOGIN_PATH
from netboot.admin.access.requester import requester_of
from netboot.admin.api.problems import status_of
from netboot.admin.pages.page_files import PageFiles
from netboot.admin.pages.shell import Flash, Shell, navigation_at
from netboot.admin.texts.ages import shown_due
from netboot.errors import ConfigError, NetbootError, StoreError
from netboot.model.access.access_rule import Need
from netboot.model.words import shown_age, shown_left, shown_seconds, shown_size
from netboot.operate.arming import ArmingRefusedError

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FLASH: Final = "netboot-flash"
_FLASH_S: Final = 300


class PageEngine:
    def __init__(
        self, directory: Path, *, last_event_id: Callable[[], Awaitable[int]], now: Callable[[], datetime]
    ) -> None:
        """Read the templates of a directory, and the static files of `static` in it."""
        self.files = PageFiles(directory / "static")
        self._last_event_id, self._now = last_event_id, now
        self._templates = Environment(
            loader=FileSystemLoader(directory),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            "ago": self._ago,
            "clock": _clock,
            "left": self._left,
            "due": self._due,
            "seconds": shown_seconds,
            "size": shown_size,
        }

    async def answer(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """Answer with a page; `values` are what its template shows, usually one: `page`."""
        shell = await self._shell(request)
        page = self._templates.get_template(template)
        text = await asyncio.to_thread(page.render, shell=shell, **values)  # that of 1,000 hosts takes 50 ms
        answer = web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)
        if shell.flash is not None:
            answer.del_cookie(_FLASH)
        return answer

    def to(self, url: str) -> web.Response:
        """Redirect to another page."""
        return web.Response(status=303, headers={"Location": url, "Cache-Control": "no-store"})

    def back(self, url: str, *, done: str, kind: str = "good") -> web.Response:
        """Redirect after a change; the next page shows what was done."""
        answer = self.to(url)
        flash = Flash(kind, done).cookie()
        answer.set_cookie(_FLASH, flash, max_age=_FLASH_S, httponly=True, samesite="Strict")
        return answer

    async def refusal(self, request: web.Request, error: NetbootError | web.HTTPException) -> web.Response:
        """Answer with the page of an error: its sentence, and every reason."""
        if isinstance(error, web.HTTPException):
            is_unknown = isinstance(error, web.HTTPNotFound) and request.match_info.http_exception is error
            status, sentence = error.status, "There is no such page." if is_unknown else error.text or error.reason
        else:
            status, sentence = status_of(error), str(error)
        reasons = []
        if isinstance(error, ArmingRefusedError):
            reasons = [f"{host}: {reason}" for host, found in error.reasons.items() for reason in found]
        if isinstance(error, ConfigError):
            sentence = "The files have faults, so what was accepted before stays in force. Correct them, then reload."
            reasons = [str(fault) for fault in error.problems]
        back = request.path if request.method == "POST" else "/"
        if status == web.HTTPUnauthorized.status_code:
            back = _login_url(request)
        values = {"title": _title(status), "sentence": sentence, "reasons": reasons, "back": back}
        return await self.answer(request, "refused.html.j2", status=status, **values)

    def _ago(self, at: datetime) -> str:
        return f"{shown_age((self._now() - at).total_seconds())} ago"

    def _left(self, at: datetime) -> str:
        return shown_left((at - self._now()).total_seconds())

    def _due(self, at: datetime) -> str:
        return shown_due((at - self._now()).total_seconds())

    async def _shell(self, request: web.Request) -> Shell:
        requester = requester_of(request)
        try:
            last_event = None if requester.is_anonymous else await self._last_event_id()
        except StoreError:
            last_event = None  # the content of the page reports it
        refusal = requester.refusal(Need.CHANGE)
        return Shell(
            navigation=() if requester.is_anonymous else navigation_at(request.path),
            user="" if requester.is_anonymous else requester.actor.name,
            role=requester.role,
            login_url=_login_url(request) if requester.has_users and requester.role is None else None,
            refusal=refusal.sentence if refusal is not None else None,
            csrf=requester.csrf,
            flash=Flash.of_cookie(request.cookies.get(_FLASH, "")),
            now=self._now(),
            version="" if requester.is_anonymous else __version__,
            last_event=last_event,
            addresses=self.files.addresses,
        )


def errors_as_pages(engine: PageEngine) -> Middleware:
    """Make the middleware that shows errors of pages as pages; those of the API stay JSON."""

    @web.middleware
    async def show(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (NetbootError, web.HTTPException) as error:
            if not _is_for_a_page(request) or (isinstance(error, web.HTTPException) and error.status < 400):
                raise
            return await engine.refusal(request, error)

    return show


def _login_url(request: web.Request) -> str:
    """Return the URL of the login; it leads back to a page, not to a change."""
    wanted = request.path_qs if request.method == "GET" else "/"
    return f"{LOGIN_PATH}?next={quote(wanted, safe='/')}" if request.path != LOGIN_PATH else LOGIN_PATH


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _is_for_a_page(request: web.Request) -> bool:
    is_api = request.path.startswith(("/api/", "/metrics", "/healthz", "/readyz", "/static/"))
    return not is_api and "text/html" in request.headers.get("Accept", "")


def _title(status: int) -> str:
    match status:
        case 401:
            return "Log in first"
        case 403:
            return "Not permitted"
        case 404:
            return "Not found"
        case 409 | 422:
            return "Refused"
        case 503:
            return "Not available now"
        case _:
            return "Failed" if status >= 500 else "Invalid request"
