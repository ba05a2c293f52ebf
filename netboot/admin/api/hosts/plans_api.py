"""The routes that show what a host would receive, and where its values come from; no token and no secret in them."""

from aiohttp import web

from netboot.admin.api.request_body import answering
from netboot.operate.planning.host_plans import HostPlans


class PlansApi:
    def __init__(self, plans: HostPlans) -> None:
        self._plans = plans

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/hosts/{host}/plan", answering(self._plans.plan)),
            web.get("/api/v1/hosts/{host}/explain", answering(self._plans.explain)),
        ]
