"""The route of machines' logs: the lines of a boot, and those that come, as server-sent events."""

import json

from aiohttp import web

from netboot.admin.api.boots.boot_requests import LogQuery
from netboot.admin.api.event_stream import StreamFault, send_events
from netboot.admin.api.operation import EVENTS, operation
from netboot.admin.api.request_models import read_query
from netboot.admin.json_views import json_view
from netboot.boot_records.shown_logs import BootLogs, LoggedBoot, NoLogError
from netboot.errors import StoreError, UnknownHostError
from netboot.model.boot.log_line import LogLine
from netboot.telemetry.metrics import Metrics


class LogsApi:
    def __init__(self, logs: BootLogs, metrics: Metrics) -> None:
        self._logs, self._metrics = logs, metrics

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/installs/{host}/logs", self.lines)]

    @operation(
        LoggedBoot | LogLine | StreamFault,
        media_type=EVENTS,
        query=LogQuery,
        errors=[UnknownHostError, NoLogError, StoreError],
    )
    async def lines(self, request: web.Request) -> web.StreamResponse:
        """Send the log of a boot as server-sent events: `boot`, then `line` for each line.

        `offset`: only the lines from this byte of the log on.
        """
        query = read_query(request, LogQuery)
        found = await self._logs.find(request.match_info["host"], boot=int(query.boot), follow=query.follow)
        lines = self._logs.lines(found, follow=query.follow, offset=int(query.offset))
        return await send_events(request, lines, _server_sent, self._metrics)


def _server_sent(found: LoggedBoot | LogLine) -> bytes:
    name = "line" if isinstance(found, LogLine) else "boot"
    return f"event: {name}\ndata: {json.dumps(json_view(found))}\n\n".encode()
