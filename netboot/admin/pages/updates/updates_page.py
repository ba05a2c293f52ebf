"""`/updates`: per node what runs, what is staged and offered, and what an operator types next."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.pages.updates.updates_views import BoardView
from netboot.errors import NetbootError
from netboot.operate.updates.updates_board import UpdatesBoard

ReadBoard = Callable[[], Awaitable[UpdatesBoard]]


class UpdatesPage:
    def __init__(self, read: ReadBoard, engine: PageEngine) -> None:
        self._read, self._engine = read, engine

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/updates", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """Show the board."""
        return await self._engine.answer(request, "updates.html.j2", page=BoardView.of(await self._read()))


async def board_or_none(read: ReadBoard) -> UpdatesBoard | None:
    """Read the board for a page that shows more than that; None while it cannot be read."""
    try:
        return await read()
    except NetbootError:
        return None
