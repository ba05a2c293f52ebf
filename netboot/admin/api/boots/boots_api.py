"""The routes of boots: those that run now, those that are kept of a machine, and one of them."""

from aiohttp import web

from netboot.admin.api.boots.boot_requests import KeptBootsQuery, RunningBootsQuery, boot_in_path
from netboot.admin.api.operation import operation
from netboot.admin.api.paging import LINK, page_answer
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_query
from netboot.errors import StoreError, UnknownHostError
from netboot.operate.boots.boot_history import BootHistory, NoBootError, ShownBoot


class BootsApi:
    def __init__(self, boots: BootHistory) -> None:
        self._boots = boots

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/boots", self.running),
            web.get("/api/v1/installs/{host}/boots", self.all),
            web.get("/api/v1/installs/{host}/boots/{boot}", self.one),
        ]

    @operation(list[ShownBoot], query=RunningBootsQuery, headers=[LINK], errors=[StoreError])
    async def running(self, request: web.Request) -> web.Response:
        """List the boots that run now, those of hosts first."""
        query = read_query(request, RunningBootsQuery)
        found = [each for each in await self._boots.running() if query.selects(each)]
        return page_answer(request, found, lambda each: str(each.record.mac), limit=query.limit, after=query.after)

    @operation(list[ShownBoot], query=KeptBootsQuery, headers=[LINK], errors=[UnknownHostError, StoreError])
    async def all(self, request: web.Request) -> web.Response:
        """List the kept boots of a host, or of an unregistered machine by its MAC, oldest first."""
        query = read_query(request, KeptBootsQuery)
        found = [each for each in await self._boots.all(request.match_info["host"]) if query.selects(each)]
        return page_answer(request, found, lambda each: each.number or 0, limit=query.limit, after=query.after)

    @operation(ShownBoot, errors=[UnknownHostError, NoBootError, StoreError], statuses=[400])
    async def one(self, request: web.Request) -> web.Response:
        """Show a boot; its number counts as in journalctl(1)."""
        found = await self._boots.show(request.match_info["host"], boot=boot_in_path(request))
        return json_answer(found)
