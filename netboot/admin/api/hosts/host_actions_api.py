"""The route that lists the actions on a host, and why some are refused now."""

from aiohttp import web

from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.errors import StoreError, UnknownHostError
from netboot.operate.actions.host_actions import HostActions
from netboot.operate.actions.host_verbs import HostAction


class HostActionsApi:
    def __init__(self, actions: HostActions) -> None:
        self._actions = actions

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/hosts/{host}/actions", self.all)]

    @operation(list[HostAction], errors=[UnknownHostError, StoreError])
    async def all(self, request: web.Request) -> web.Response:
        """List what can be requested for a host now, and why the rest is refused."""
        return json_answer(await self._actions.of(request.match_info["host"]))
