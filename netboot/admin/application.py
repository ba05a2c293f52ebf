"""The administration: pages, API and metrics, on the control socket and on `admin.listen`. Never on the boot LAN.

Thin: each route calls `operate` and writes the result.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from netboot.admin.access.csrf import FormTokens
from netboot.admin.access.guard import guard
from netboot.admin.access.origin import no_browser_from_elsewhere
from netboot.admin.access.turns import end_turn
from netboot.admin.api.problems import errors_as_json
from netboot.admin.pages.page_engine import PageEngine, errors_as_pages
from netboot.control_socket import CONFIGURATION_HEADER
from netboot.model.urls import ALIVE_PATH
from netboot.operate.access.access_uses import AccessUses
from netboot.telemetry.metrics import Metrics

STORED_S: Final = 1.0
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Routes(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


def admin_application(
    parts: Iterable[Routes],
    engine: PageEngine,
    *,
    configuration: Path,
    access: AccessUses,
    forms: FormTokens,
    metrics: Metrics,
    store_events: Callable[[], asyncio.Future[bool]],
    public_host: str = "",
) -> web.Application:
    """Make the application that every listener serves.

    `store_events` writes the events that wait, the audit trail among them, to the store.
    `configuration` is the daemon's file, links resolved; `public_host` the host of `admin.public_url`.
    """
    origin, of_configuration = no_browser_from_elsewhere(public_host), _of_configuration(configuration)
    middlewares = [
        _alive,
        _after_events(store_events),
        errors_as_json,
        errors_as_pages(engine),
        origin,
        of_configuration,
    ]
    middlewares += [guard(access, forms, metrics)]
    app = web.Application(middlewares=middlewares)
    app.on_response_prepare.append(end_turn)
    app.add_routes(engine.files.routes())
    for part in parts:
        app.add_routes(part.routes())
    return app


def _after_events(store_events: Callable[[], asyncio.Future[bool]]) -> Middleware:
    """Answer a request that may change something after its events are stored: a crash then loses no audited change.

    A store that does not accept them within `STORED_S` delays the answer no longer.
    """

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            if request.method not in _READING:
                await asyncio.wait([store_events()], timeout=STORED_S)

    return answer


@web.middleware
async def _alive(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer before all else that the event loop runs: the guard may wait for the store."""
    return web.Response(status=204) if request.path == ALIVE_PATH else await handler(request)


def _of_configuration(ours: Path) -> Middleware:
    """Refuse a request for the daemon of another configuration that has the same control socket."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        wanted = request.headers.get(CONFIGURATION_HEADER)
        if wanted is not None and unquote(wanted) != str(ours):
            raise web.HTTPMisdirectedRequest(
                text=f"the daemon that answers runs with {ours}, not with {unquote(wanted)}; "
                f"use --config {ours}, or give each configuration its own admin.socket"
            )
        return await handler(request)

    return check
