"""The route of updates: what each node runs, has downloaded and is offered, and what an operator types next."""

from aiohttp import web

from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.errors import StoreError
from netboot.operate.updates.updates import Updates
from netboot.operate.updates.updates_board import UpdatesBoard


class UpdatesApi:
    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/updates", self.board)]

    @operation(UpdatesBoard, errors=[StoreError])
    async def board(self, _request: web.Request) -> web.Response:
        """Show for each declared host what its node runs, has downloaded and is offered, and what to type next.

        Control planes come first, in the order in which an operator acts.
        """
        return json_answer(await self._updates.board())
