"""The routes of boots: those that run now, those that are kept of a machine, and one of them."""

import re
from typing import Final

from aiohttp import web

from netboot.admin.api.request_body import json_answer
from netboot.operate.boots.boot_history import BootHistory

_NUMBER: Final = re.compile(r"-?[0-9]{1,6}")


class BootsApi:
    def __init__(self, boots: BootHistory) -> None:
        self._boots = boots

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/boots", self.running),
            web.get("/api/v1/installs/{host}/boots", self.all),
            web.get("/api/v1/installs/{host}/boots/{boot}", self.one),
        ]

    async def running(self, _request: web.Request) -> web.Response:
        return json_answer(await self._boots.running())

    async def all(self, request: web.Request) -> web.Response:
        return json_answer(await self._boots.all(request.match_info["host"]))

    async def one(self, request: web.Request) -> web.Response:
        """Show a boot; its number counts as in journalctl(1)."""
        number = request.match_info["boot"]
        if not _NUMBER.fullmatch(number):
            raise web.HTTPBadRequest(text="boot is a whole number: 0 is the last boot, -1 the one before, 1 the first")
        found = await self._boots.show(request.match_info["host"], boot=int(number))
        return json_answer(found)
