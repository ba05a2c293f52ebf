"""The routes of the daemon itself: status, reload, content in force, metrics, events."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Final, Literal, Self

from aiohttp import web
from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from netboot.admin.access.requester import actor_of
from netboot.admin.api.event_stream import StreamFault, send_events
from netboot.admin.api.operation import EVENTS, operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import FaultSentence, RequestModel, read_body, read_query
from netboot.admin.json_views import json_view
from netboot.content.library.library import checked_name
from netboot.errors import ConfigError, ContentError, StoreError, UnknownHostError
from netboot.model.install.event import Event
from netboot.model.release import EntryKind
from netboot.operate.administration import Administration
from netboot.operate.content_uses import ContentUse
from netboot.operate.running_daemon import ApplianceStatus, ReloadResult, RescanRequest, RescanResult
from netboot.telemetry.metrics import Metrics

_ID: Final = re.compile(r"[0-9]{1,18}")
_KINDS: Final = {kind.word: kind for kind in EntryKind}
_ENTRY: Final = FaultSentence(f"kind is one of {', '.join(_KINDS)}, and name is a name; or neither is given")


class RescanBody(RequestModel):
    """The entry to read again; without it, the whole content directory. `change` is recorded in the audit."""

    kind: Annotated[Literal["boot medium", "release"] | None, _ENTRY] = None
    name: Annotated[str | None, _ENTRY] = None
    change: Annotated[str, Field(description="a text: what was changed")] = ""

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.kind is None) is not (self.name is None):
            raise PydanticCustomError("neither", "{text}", {"text": _ENTRY.wrong})
        return self


EventId = Annotated[str, StringConstraints(pattern="^[0-9]{0,18}$")]  # empty: from the beginning


class EventsQuery(RequestModel):
    """Where the stream begins, and which events it has. The header `Last-Event-ID` is used if `after` is missing."""

    after: Annotated[EventId | None, Field(description="the id of an event")] = None
    host: Annotated[str, Field(description="the name of a host, of which alone events are sent")] = ""
    event: list[str] = Field(default_factory=list, description="the name of an event: those of these names alone")
    limit: Annotated[
        Annotated[int, Field(ge=1)] | None, Field(description="a whole number from 1 on: it ends after so many events")
    ] = None
    follow: Annotated[bool, Field(description="0 or 1: 0 ends after the last recorded event")] = True


class ApplianceApi:
    def __init__(self, administration: Administration, metrics: Metrics) -> None:
        self._administration = administration
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metrics", self.metrics),
            web.get("/api/v1/status", self.status),
            web.post("/api/v1/reload", self.reload),
            web.post("/api/v1/content/rescan", self.rescan_content),
            web.get("/api/v1/content/uses", self.content_uses),
            web.get("/api/v1/events", self.events),
        ]

    @operation(media_type="text/plain")
    async def metrics(self, _request: web.Request) -> web.Response:
        """Expose counters, histograms and gauges for Prometheus."""
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": Metrics.content_type})

    @operation(ApplianceStatus)
    async def status(self, _request: web.Request) -> web.Response:
        """Show the state of the daemon, its problems and warnings."""
        return json_answer(await self._administration.status())

    @operation(list[ContentUse], errors=[StoreError])
    async def content_uses(self, _request: web.Request) -> web.Response:
        """List the users of each boot medium and release."""
        return json_answer(await self._administration.content_uses())

    @operation(ReloadResult, errors=[ConfigError, StoreError])
    async def reload(self, request: web.Request) -> web.Response:
        """Read the settings and hosts files again, as SIGHUP does.

        If they have faults, the previous ones stay in force.
        """
        return json_answer(await self._administration.reload(actor=actor_of(request)))

    @operation(RescanResult, body=RescanBody, errors=[ContentError, StoreError])
    async def rescan_content(self, request: web.Request) -> web.Response:
        """Read the content directory, or one entry of it, again."""
        body, entry = await read_body(request, RescanBody), None
        if body.kind is not None and body.name is not None:
            try:
                entry = (_KINDS[body.kind], checked_name(body.name))
            except ContentError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
        wanted = RescanRequest(entry, body.change)
        return json_answer(await self._administration.rescan_content(wanted, actor=actor_of(request)))

    @operation(Event | StreamFault, media_type=EVENTS, query=EventsQuery, errors=[UnknownHostError, StoreError])
    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send events as server-sent events, oldest first, then as they occur."""
        query = read_query(request, EventsQuery)
        after = query.after or request.headers.get("Last-Event-ID") or "0"
        if not _ID.fullmatch(after):
            raise web.HTTPBadRequest(text="after is the id of an event")
        follow, host = query.follow, query.host or None
        if host:
            await self._administration.known_host(host)  # before the stream begins, a refusal can have its status
        await self._administration.last_event_id()
        found = self._administration.events(after=int(after), host=host, follow=follow)
        return await send_events(request, _selected(found, query), _server_sent, self._metrics)


async def _selected(
    found: AsyncGenerator[Event | None, None], query: EventsQuery
) -> AsyncGenerator[Event | None, None]:
    """Yield the events of the wanted names, `limit` at most; None is no event."""
    left = query.limit
    async with aclosing(found) as events:
        async for event in events:
            if event is not None and query.event and event.name not in query.event:
                continue
            yield event
            if left is not None and event is not None:
                left -= 1
                if left == 0:
                    return


def _server_sent(found: Event) -> bytes:
    event = json_view(found)
    return f"id: {event['id']}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n".encode()
