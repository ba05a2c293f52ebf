"""The route of machines' logs: the lines of a boot, and those that come, as server-sent events."""

import json
import re
from typing import Final

from aiohttp import web

from netboot.admin.api.event_stream import send_events
from netboot.admin.json_views import json_view
from netboot.boot_records.shown_logs import BootLogs, LoggedBoot
from netboot.model.boot.log_line import LogLine
from netboot.telemetry.metrics import Metrics

_NUMBER: Final = re.compile(r"-?[0-9]{1,6}")
_LONGEST_OFFSET: Final = 12  # digits


class LogsApi:
    def __init__(self, logs: BootLogs, metrics: Metrics) -> None:
        self._logs, self._metrics = logs, metrics

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/installs/{host}/logs", self.lines)]

    async def lines(self, request: web.Request) -> web.StreamResponse:
        """Send `boot` with the boot, then `line` for each of its lines; `boot` counts as in journalctl(1).

        `offset`: only the lines from this byte of the log on.
        """
        boot, follow = boot_in(request), request.query.get("follow", "1") != "0"
        offset = request.query.get("offset", "0")
        if not (offset.isascii() and offset.isdecimal() and len(offset) <= _LONGEST_OFFSET):
            raise web.HTTPBadRequest(text="offset is a number of bytes")
        found = await self._logs.find(request.match_info["host"], boot=boot, follow=follow)
        lines = self._logs.lines(found, follow=follow, offset=int(offset))
        return await send_events(request, lines, _server_sent, self._metrics)


def boot_in(request: web.Request) -> int:
    """Read which boot is requested; raise HTTPBadRequest."""
    boot = request.query.get("boot", "0")
    if not _NUMBER.fullmatch(boot):
        raise web.HTTPBadRequest(text="boot is a whole number: 0 is the last boot, -1 the one before, 1 the first")
    return int(boot)


def _server_sent(found: LoggedBoot | LogLine) -> bytes:
    name = "line" if isinstance(found, LogLine) else "boot"
    return f"event: {name}\ndata: {json.dumps(json_view(found))}\n\n".encode()
