"""The administration: `/api/v1/…`, `/metrics` and events, on the control socket and on `admin.listen`.

Thin: each route calls `operate.administration` and writes the result as JSON. Never on the boot LAN.
"""

import json
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from netboot.admin.event_stream import send_events
from netboot.admin.json_views import error_view, http_error_view, json_text, json_view
from netboot.boot_records.record_files import NoRecordError
from netboot.content.library.disk import http_status
from netboot.content.library.library import checked_name
from netboot.content.library.uploads import UploadError
from netboot.control_socket import CONFIGURATION_HEADER
from netboot.errors import (
    ConfigError,
    ContentError,
    HostFileError,
    HostsNotWritableError,
    InspectionRefusedError,
    NetbootError,
    RescueRefusedError,
    RoleFileError,
    StoreError,
    TransitionError,
    UnknownHookError,
    UnknownHostError,
    WipeRefusedError,
)
from netboot.model.actor import Actor, Source
from netboot.model.install.event import Event
from netboot.model.install.install import MOST_ATTEMPTS
from netboot.model.release import EntryKind
from netboot.operate.administration import Administration
from netboot.operate.arming import ArmingRefusedError, ArmRequest, CancelRequest
from netboot.operate.boots.boot_history import NoBootError
from netboot.operate.host_status import ArmedHost
from netboot.operate.running_daemon import RescanRequest
from netboot.operate.selection import EVERY_HOST, HostSelection
from netboot.telemetry.metrics import Metrics

_PEER: Final = Struct("3i")  # pid, uid, gid
_LONGEST_ID: Final = 18  # digits, of what the store can count
_OUR_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1", "netboot"})  # the last is `client`'s on the socket

log = structlog.get_logger()


def admin_application(administration: Administration, metrics: Metrics, *, configuration: Path) -> web.Application:
    """Make the application that both listeners serve; `configuration` is the daemon's file, links resolved."""
    api = _Api(administration, metrics)
    app = web.Application(middlewares=[errors_as_json, _no_browser_from_elsewhere, _of_configuration(configuration)])
    app.add_routes(
        [
            web.get("/metrics", api.metrics),
            web.get("/api/v1/status", _answer(administration.status)),
            web.post("/api/v1/reload", api.reload),
            web.post("/api/v1/content/rescan", api.rescan_content),
            web.get("/api/v1/content/uses", _answer(administration.content_uses)),
            web.get("/api/v1/machines", _answer(administration.machines)),
            web.get("/api/v1/hosts", api.hosts),
            web.get("/api/v1/hosts/{host}", _answer(administration.host)),
            web.post("/api/v1/hosts/{host}/arm", api.arm),
            web.post("/api/v1/hosts/{host}/cancel", api.cancel),
            web.get("/api/v1/hosts/{host}/install", _answer(administration.install)),
            web.get("/api/v1/installs", _answer(administration.installs)),
            web.post("/api/v1/installs/arm", api.arm_all),
            web.post("/api/v1/installs/cancel", api.cancel_all),
            web.get("/api/v1/hosts/{host}/history", _answer(administration.history)),
            web.get("/api/v1/hosts/{host}/served", _answer(administration.served_documents)),
            web.get("/api/v1/events", api.events),
        ]
    )
    return app


class _Api:
    def __init__(self, administration: Administration, metrics: Metrics) -> None:
        self._administration = administration
        self._metrics = metrics

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": Metrics.content_type})

    async def reload(self, request: web.Request) -> web.Response:
        return _json(await self._administration.reload(actor=actor_of(request)))

    async def rescan_content(self, request: web.Request) -> web.Response:
        body = await _body(request)
        entry, kinds = None, {kind.word: kind for kind in EntryKind}
        if body.keys() & {"kind", "name"}:
            kind, name = kinds.get(str(body.get("kind"))), body.get("name")
            if kind is None or not isinstance(name, str):
                known = ", ".join(kinds)
                raise web.HTTPBadRequest(text=f"kind is one of {known}, and name is a name; or neither is given")
            try:
                entry = (kind, checked_name(name))
            except ContentError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
        wanted = RescanRequest(entry, str(body.get("change", "")))
        return _json(await self._administration.rescan_content(wanted, actor=actor_of(request)))

    async def arm(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return _json((await self._armed([request.match_info["host"]], EVERY_HOST, body, request))[0])

    async def arm_all(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return _json(await self._armed(*_selected(body), body, request))

    async def _armed(
        self, names: Sequence[str], selection: HostSelection, body: Mapping[str, Any], request: web.Request
    ) -> list[ArmedHost]:
        attempts, force = body.get("attempts"), body.get("force", False)
        if attempts is not None and not (type(attempts) is int and 1 <= attempts <= MOST_ATTEMPTS):  # True is an int
            raise web.HTTPBadRequest(text=f"attempts is a whole number from 1 to {MOST_ATTEMPTS}")
        if not isinstance(force, bool):
            raise web.HTTPBadRequest(text="force is true or false")
        wanted = ArmRequest(names, str(body.get("reason", "")), attempts, force, selection)
        return await self._administration.arm(wanted, actor=actor_of(request))

    async def cancel(self, request: web.Request) -> web.Response:
        reason = str((await _body(request)).get("reason", ""))
        host = request.match_info["host"]
        return _json(await self._administration.cancel(host, reason=reason, actor=actor_of(request)))

    async def cancel_all(self, request: web.Request) -> web.Response:
        body = await _body(request)
        names, selection = _selected(body)
        wanted = CancelRequest(names, str(body.get("reason", "")), selection)
        return _json(await self._administration.cancel_all(wanted, actor=actor_of(request)))

    async def hosts(self, request: web.Request) -> web.Response:
        """List the hosts; `role=ROLE` and `label=KEY=VALUE`, several times, select some of them."""
        pairs = [text.partition("=") for text in request.query.getall("label", [])]
        if not all(key and sign for key, sign, _ in pairs):
            raise web.HTTPBadRequest(text="label is KEY=VALUE")
        selection = HostSelection(request.query.get("role"), {key: text for key, _, text in pairs})
        return _json(await self._administration.hosts(selection))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send events as server-sent events: `after` an id, of one `host`; `follow=0` sends only the stored ones."""
        after = request.query.get("after") or request.headers.get("Last-Event-ID") or "0"
        if not after.isdecimal() or len(after) > _LONGEST_ID:
            raise web.HTTPBadRequest(text="after is the id of an event")
        follow, host = request.query.get("follow", "1") != "0", request.query.get("host") or None
        if host:
            await self._administration.known_host(host)  # before the stream begins, a refusal can have its status
        await self._administration.last_event_id()
        found = self._administration.events(after=int(after), host=host, follow=follow)
        return await send_events(request, found, _server_sent, self._metrics)


def _answer(query: Callable[..., Awaitable[object]]) -> Handler:
    """Make a handler that calls `query` with the arguments in the path and sends its result as JSON."""

    async def handle(request: web.Request) -> web.Response:
        return _json(await query(*request.match_info.values()))

    return handle


def actor_of(request: web.Request) -> Actor:
    """Return who sends a request: the user of a process on the Unix socket (unix(7), SO_PEERCRED), or an address."""
    peer = request.transport.get_extra_info("socket") if request.transport else None
    if peer is None or peer.family is not socket.AF_UNIX:
        return Actor(f"a process on {request.remote or 'this box'}", Source.API)
    _pid, uid, _gid = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return Actor(f"uid {uid}", Source.CONTROL_SOCKET)


def on_the_socket_alone(handler: Handler) -> Handler:
    """Refuse a request over TCP: that listener has no login yet, so every user of this appliance could send it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        ours = request.transport.get_extra_info("sockname") if request.transport else None
        if not isinstance(ours, str):  # the path of a Unix socket; for TCP an address and a port
            raise web.HTTPForbidden(
                text="hosts and Ignition files are changed over the control socket only; use the command, "
                "or curl --unix-socket with admin.socket"
            )
        return await handler(request)

    return handle


def _selected(body: Mapping[str, Any]) -> tuple[Sequence[str], HostSelection]:
    """Read the names of hosts, or the role and labels that select them; raise HTTPBadRequest."""
    names, role, labels = body.get("hosts"), body.get("role"), body.get("labels") or {}
    is_table = isinstance(labels, dict) and all(isinstance(text, str) for text in labels.values())
    if not (role is None or isinstance(role, str)) or not is_table:
        raise web.HTTPBadRequest(text="role is a text, and labels is an object of texts")
    selection = HostSelection(role, labels)
    if names and not selection.is_all:
        raise web.HTTPBadRequest(text="hosts names the hosts, or role and labels select them; give one of the two")
    if selection.is_all and not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise web.HTTPBadRequest(text="hosts is a list of names, one at least")
    return names or (), selection


def _json(found: object) -> web.Response:
    return web.json_response(text=json_text(found))


def _server_sent(found: Event) -> bytes:
    event = json_view(found)
    return f"id: {event['id']}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n".encode()


async def _body(request: web.Request) -> dict[str, Any]:
    return await json_object(request) if request.can_read_body else {}


async def json_object(request: web.Request) -> dict[str, Any]:
    """Read the body of a request; raise HTTPBadRequest if it is not a JSON object."""
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError):  # not JSON, an unknown charset, a thousand brackets
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object")
    return body


@web.middleware
async def _no_browser_from_elsewhere(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that another site's page sends by a browser on this appliance: loopback does not exclude them."""
    origins = request.headers.getall("Origin", [])  # `null` from a sandboxed frame, which is not a page of ours
    hosts = {request.host, request.headers.get("Host", request.host)}  # they differ if the request names a whole URL
    try:
        is_ours = all(urlsplit(origin).netloc == request.host for origin in origins)
        names = {urlsplit(f"//{host}").hostname for host in hosts}
    except ValueError:
        is_ours, names = False, {None}
    if not is_ours or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise web.HTTPForbidden(text=f"a page of {', '.join(origins) or 'another site'} may not use this API")
    if not names <= _OUR_NAMES or any("@" in host for host in hosts):
        raise web.HTTPForbidden(text="this API answers to localhost, 127.0.0.1 and [::1] only")
    return await handler(request)


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


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.json_response(http_error_view(error.text, error.status), status=error.status)
    except NetbootError as error:
        return web.json_response(error_view(error), status=_status_of(error))
    except ConnectionError:
        raise  # the client closed the connection
    except OSError as error:  # of this appliance, not of the request
        log.error("api.failed", path=request.path, reason=str(error))
        status = http_status(error)
        return web.json_response(http_error_view(f"cannot do it now: {error}", status), status=status)


def _status_of(error: NetbootError) -> int:
    match error:
        case UnknownHostError() | UnknownHookError() | NoRecordError() | NoBootError():
            return 404
        case TransitionError() | ArmingRefusedError() | HostFileError():
            return 409
        case InspectionRefusedError() | RescueRefusedError() | WipeRefusedError():
            return 409
        case ConfigError() | RoleFileError():
            return 422
        case StoreError():
            return 503
        case UploadError():
            return error.status
        case ContentError() | HostsNotWritableError():
            return http_status(error.__cause__)
        case _:
            return 500
