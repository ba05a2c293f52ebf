"""The routes of the daemon itself: status, reload, content in force, metrics, events."""

import json
from typing import Final

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.event_stream import send_events
from netboot.admin.api.request_body import answering, body_of, json_answer
from netboot.admin.json_views import json_view
from netboot.content.library.library import checked_name
from netboot.errors import ContentError
from netboot.model.install.event import Event
from netboot.model.release import EntryKind
from netboot.operate.administration import Administration
from netboot.operate.running_daemon import RescanRequest
from netboot.telemetry.metrics import Metrics

_LONGEST_ID: Final = 18  # digits, of what the store can count


class ApplianceApi:
    def __init__(self, administration: Administration, metrics: Metrics) -> None:
        self._administration = administration
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metrics", self.metrics),
            web.get("/api/v1/status", answering(self._administration.status)),
            web.post("/api/v1/reload", self.reload),
            web.post("/api/v1/content/rescan", self.rescan_content),
            web.get("/api/v1/content/uses", answering(self._administration.content_uses)),
            web.get("/api/v1/events", self.events),
        ]

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": Metrics.content_type})

    async def reload(self, request: web.Request) -> web.Response:
        return json_answer(await self._administration.reload(actor=actor_of(request)))

    async def rescan_content(self, request: web.Request) -> web.Response:
        body = await body_of(request)
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
        return json_answer(await self._administration.rescan_content(wanted, actor=actor_of(request)))

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


def _server_sent(found: Event) -> bytes:
    event = json_view(found)
    return f"id: {event['id']}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n".encode()
