"""The routes that show what a host would receive, and where its values come from; no token and no secret in them."""

from aiohttp import web

from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.errors import ConfigError, StoreError, UnknownHostError
from netboot.operate.planning.explanation import HostExplanation
from netboot.operate.planning.host_plan import HostPlan
from netboot.operate.planning.host_plans import HostPlans


class PlansApi:
    def __init__(self, plans: HostPlans) -> None:
        self._plans = plans

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/hosts/{host}/plan", self.plan),
            web.get("/api/v1/hosts/{host}/explain", self.explain),
        ]

    @operation(HostPlan, errors=[UnknownHostError])
    async def plan(self, request: web.Request) -> web.Response:
        """Render what a host would get if it were armed and booted now, without tokens and secrets."""
        return json_answer(await self._plans.plan(request.match_info["host"]))

    @operation(HostExplanation, errors=[UnknownHostError, ConfigError, StoreError])
    async def explain(self, request: web.Request) -> web.Response:
        """Show where each value of a host comes from, and what its machine gets now and why."""
        return json_answer(await self._plans.explain(request.match_info["host"]))
