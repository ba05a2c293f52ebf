"""The route that lists the actions on a host, and why some are refused now."""

from aiohttp import web

from netboot.admin.api.request_body import answering
from netboot.operate.actions.host_actions import HostActions


class HostActionsApi:
    def __init__(self, actions: HostActions) -> None:
        self._actions = actions

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/hosts/{host}/actions", answering(self._actions.of))]
