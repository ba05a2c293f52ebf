"""The route of updates: what each node runs, has downloaded and is offered, and what an operator types next."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import RequestModel, read_query
from netboot.content.library.library import UnknownContentError
from netboot.errors import ContentError, StoreError
from netboot.operate.updates.promotion_plan import PromotionPlan
from netboot.operate.updates.updates import Updates
from netboot.operate.updates.updates_board import UpdatesBoard


class PromotionQuery(RequestModel):
    """An entry, and the alias that it would get."""

    name: Annotated[str, Field(description="the name of a medium or release", min_length=1)]
    alias: Annotated[str, Field(description="the alias, for example stable", min_length=1)]


class UpdatesApi:
    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/updates", self.board), web.get("/api/v1/content/promote", self.plan)]

    @operation(UpdatesBoard, errors=[StoreError])
    async def board(self, _request: web.Request) -> web.Response:
        """Show for each declared host what its node runs, has downloaded and is offered, and what to type next.

        Control planes come first, in the order in which an operator acts.
        """
        return json_answer(await self._updates.board())

    @operation(PromotionPlan, query=PromotionQuery, errors=[UnknownContentError, ContentError, StoreError])
    async def plan(self, request: web.Request) -> web.Response:
        """Show what a promotion would do; it changes nothing.

        The nodes that look at the tag notice it within two minutes. An arming that is bound to another commit ends.
        """
        query = read_query(request, PromotionQuery)
        return json_answer(await self._updates.plan(query.name, query.alias))
