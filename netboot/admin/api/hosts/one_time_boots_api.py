"""The routes that let machines boot once: inspections, rescues, and the end of wipes."""

from typing import Any

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.request_body import json_answer, json_object
from netboot.operate.one_time_boots import OneTimeBoots, RescueRequest


class OneTimeBootsApi:
    def __init__(self, boots: OneTimeBoots) -> None:
        self._boots = boots

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/inspections", self.inspect),
            web.post("/api/v1/rescues", self.rescue),
            web.post("/api/v1/rescues/cancel", self.cancel_rescue),
            web.delete("/api/v1/wipes/{machine}", self.cancel_wipe),
        ]

    async def inspect(self, request: web.Request) -> web.Response:
        """Let a machine be inspected: `{"machine": NAME}`, the name of a host or a MAC."""
        body = await json_object(request) if request.can_read_body else {}
        machine = body.get("machine")
        if not (isinstance(machine, str) and machine):
            raise web.HTTPBadRequest(text="machine is the name of a host, or a MAC")
        return json_answer(await self._boots.inspect(machine, actor=actor_of(request)))

    async def rescue(self, request: web.Request) -> web.Response:
        """Let hosts boot the rescue mode once: `{"hosts": [NAME, …], "medium": NAME}`; `medium` is optional."""
        body = await json_object(request)
        medium = body.get("medium")
        if not (medium is None or (isinstance(medium, str) and medium)):
            raise web.HTTPBadRequest(text="medium is the name of a boot medium")
        wanted = RescueRequest(_names(body), medium)
        return json_answer(await self._boots.rescue(wanted, actor=actor_of(request)))

    async def cancel_rescue(self, request: web.Request) -> web.Response:
        """End the requests for rescues of `{"hosts": [NAME, …]}`."""
        names = _names(await json_object(request))
        return json_answer(await self._boots.cancel_rescue(names, actor=actor_of(request)))

    async def cancel_wipe(self, request: web.Request) -> web.Response:
        """End the wipe of a retired host, by its name or a MAC."""
        machine = request.match_info["machine"]
        return json_answer(await self._boots.cancel_wipe(machine, actor=actor_of(request)))


def _names(body: dict[str, Any]) -> list[str]:
    names = body.get("hosts")
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise web.HTTPBadRequest(text="hosts is a list of names, one at least")
    return names
