"""The first page: every host with its state."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from netboot.admin.pages.page_engine import PageEngine
from netboot.operate.administration import Administration
from netboot.operate.host_status import HostStatus


@dataclass(frozen=True, slots=True)
class RackView:
    """What the page shows."""

    hosts: Sequence[HostStatus]


class RackPage:
    def __init__(self, administration: Administration, engine: PageEngine) -> None:
        self._administration, self._engine = administration, engine

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """Show the rack."""
        page = RackView(await self._administration.hosts())
        return await self._engine.answer(request, "rack.html.j2", page=page)
