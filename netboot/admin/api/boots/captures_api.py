"""The routes of captures: which boots of a machine have one, and the file of one boot."""

from aiohttp import web

from netboot.admin.api.boots.logs_api import boot_in
from netboot.admin.json_views import json_text
from netboot.boot_records.shown_captures import BootCaptures


class CapturesApi:
    def __init__(self, captures: BootCaptures) -> None:
        self._captures = captures

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/installs/{host}/captures", self.all),
            web.get("/api/v1/installs/{host}/capture", self.capture),
        ]

    async def all(self, request: web.Request) -> web.Response:
        return web.json_response(await self._captures.all(request.match_info["host"]), dumps=json_text)

    async def capture(self, request: web.Request) -> web.Response:
        """Send the capture of a boot as a pcapng file."""
        capture = await self._captures.read(request.match_info["host"], boot=boot_in(request))
        return web.Response(body=capture, content_type="application/pcapng")
