"""The routes of activity: a page of it, and all that match as a file."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

from aiohttp import web
from multidict import MultiDict

from netboot.admin.api.activity.activity_file import ActivityEvent, FileFormat, file_head, file_lines
from netboot.admin.api.activity.activity_query import ActivityPageQuery, ActivityQuery
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_query
from netboot.admin.api.sent_file import send_piece
from netboot.errors import NetbootError, StoreError
from netboot.events.activity import ActivityFilter, ActivityLog
from netboot.events.event_log import KEPT
from netboot.model.install.event import Event

EXPORTS_AT_ONCE: Final = 4


class ActivityApi:
    def __init__(self, activity: ActivityLog, *, now: Callable[[], datetime]) -> None:
        self._activity, self._now = activity, now
        self._exports = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/activity", self.page),
            web.get("/api/v1/activity.csv", self.as_csv, allow_head=False),
            web.get("/api/v1/activity.jsonl", self.as_lines, allow_head=False),
        ]

    @operation(list[ActivityEvent], query=ActivityPageQuery, errors=[StoreError], headers=["Link"])
    async def page(self, request: web.Request) -> web.Response:
        """List what happened, newest first.

        The header `Link` has the URL of the older events, until there are none.
        """
        query = read_query(request, ActivityPageQuery)
        found = await self._activity.page(self._filter(query), limit=query.limit)
        answer = json_answer([ActivityEvent.of(event) for event in found.events])
        if found.older_before is not None:
            older = MultiDict(request.query)
            older["before"] = str(found.older_before)
            answer.headers["Link"] = f'<{request.rel_url.with_query(older)}>; rel="next"'
        return answer

    @operation(
        media_type="text/csv",
        query=ActivityQuery,
        errors=[StoreError],
        statuses=[503],
        headers=["Content-Disposition"],
    )
    async def as_csv(self, request: web.Request) -> web.StreamResponse:
        """Send all that happened and matches as a file of CSV, newest first."""
        return await self._export(request, FileFormat.CSV)

    @operation(
        media_type="application/jsonl",
        query=ActivityQuery,
        errors=[StoreError],
        statuses=[503],
        headers=["Content-Disposition"],
    )
    async def as_lines(self, request: web.Request) -> web.StreamResponse:
        """Send all that happened and matches as a file of JSON Lines, newest first.

        Each line is an event as the list has it.
        """
        return await self._export(request, FileFormat.JSON_LINES)

    async def _export(self, request: web.Request, form: FileFormat) -> web.StreamResponse:
        wanted = self._filter(read_query(request, ActivityQuery))
        if self._exports >= EXPORTS_AT_ONCE:
            text = f"{EXPORTS_AT_ONCE} exports run now; try again when one of them has ended"
            raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": "10"})
        self._exports += 1
        try:
            return await self._send(request, wanted, form)
        finally:
            self._exports -= 1

    async def _send(self, request: web.Request, wanted: ActivityFilter, form: FileFormat) -> web.StreamResponse:
        """Send a file in pieces; end the connection of a client that does not read, and if the store fails."""
        name = f"netboot-activity-{self._now():%Y-%m-%dT%H-%M-%SZ}.{form.value}"
        headers = {
            "Content-Type": f"{form.content_type}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
        async with aclosing(self._activity.all(wanted, most=KEPT)) as batches:
            none: Sequence[Event] = []  # a tuple as the default of `anext` is a SystemError before Python 3.13
            first = await anext(batches, none)  # before the answer begins, a failure can have its status
            answer = web.StreamResponse(headers=headers)
            await answer.prepare(request)
            try:
                await send_piece(request, answer, file_head(form) + file_lines(form, first))
                async for events in batches:
                    await send_piece(request, answer, file_lines(form, events))
            except NetbootError:
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError("the export ended early") from None
        return answer

    def _filter(self, query: ActivityQuery) -> ActivityFilter:
        try:
            return query.filter(self._now())
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
