"""The administration: pages, API and metrics, on the control socket and on `admin.listen`. Never on the boot LAN.

Thin: each route calls `operate` and writes the result.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol
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
from netboot.operate.access.access_uses import AccessUses
from netboot.telemetry.metrics import Metrics


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
    public_host: str = "",
) -> web.Application:
    """Make the application that every listener serves.

    `configuration` is the daemon's file, links resolved; `public_host` the host of `admin.public_url`.
    """
    origin, of_configuration = no_browser_from_elsewhere(public_host), _of_configuration(configuration)
    middlewares = [errors_as_json, errors_as_pages(engine), origin, of_configuration, guard(access, forms, metrics)]
    app = web.Application(middlewares=middlewares)
    app.on_response_prepare.append(end_turn)
    app.add_routes(engine.files.routes())
    for part in parts:
        app.add_routes(part.routes())
    return app


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
