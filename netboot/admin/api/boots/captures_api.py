"""The routes of captures: which boots of a machine have one, and the file of one boot."""

from typing import Final

from aiohttp import web

from netboot.admin.api.boots.boot_requests import CaptureQuery
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_query
from netboot.boot_records.shown_captures import BootCaptures, CapturedBoot, NoCaptureError
from netboot.errors import StoreError, UnknownHostError

PCAPNG: Final = "application/pcapng"


class CapturesApi:
    def __init__(self, captures: BootCaptures) -> None:
        self._captures = captures

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/installs/{host}/captures", self.all),
            web.get("/api/v1/installs/{host}/capture", self.capture),
        ]

    @operation(list[CapturedBoot], errors=[UnknownHostError, StoreError])
    async def all(self, request: web.Request) -> web.Response:
        """List the boots of a machine that have a capture, oldest first."""
        return json_answer(await self._captures.all(request.match_info["host"]))

    @operation(bytes, media_type=PCAPNG, query=CaptureQuery, errors=[UnknownHostError, NoCaptureError, StoreError])
    async def capture(self, request: web.Request) -> web.Response:
        """Send the capture of a boot as a pcapng file."""
        query = read_query(request, CaptureQuery)
        capture = await self._captures.read(request.match_info["host"], boot=int(query.boot))
        return web.Response(body=capture, content_type=PCAPNG)
