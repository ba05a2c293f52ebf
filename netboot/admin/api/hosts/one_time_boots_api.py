"""The routes that let machines boot once: inspections, rescues, and the end of wipes."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.hosts.host_requests import HostsBody, InspectBody, RescueBody
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_body
from netboot.errors import InspectionRefusedError, RescueRefusedError, StoreError, UnknownHostError
from netboot.operate.one_time_boots import OneTimeBoots, RequestedMachine, RescueRequest, WithdrawnRequest


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

    @operation(RequestedMachine, body=InspectBody, errors=[UnknownHostError, InspectionRefusedError, StoreError])
    async def inspect(self, request: web.Request) -> web.Response:
        """Let a host, or an unregistered machine, be inspected at its next boot."""
        body = await read_body(request, InspectBody)
        return json_answer(await self._boots.inspect(body.machine, actor=actor_of(request)))

    @operation(list[RequestedMachine], body=RescueBody, errors=[UnknownHostError, RescueRefusedError, StoreError])
    async def rescue(self, request: web.Request) -> web.Response:
        """Let hosts boot the rescue mode at their next boot, all or none."""
        body = await read_body(request, RescueBody)
        wanted = RescueRequest(body.hosts, body.medium)
        return json_answer(await self._boots.rescue(wanted, actor=actor_of(request)))

    @operation(list[WithdrawnRequest], body=HostsBody, errors=[UnknownHostError, StoreError])
    async def cancel_rescue(self, request: web.Request) -> web.Response:
        """End the requests for rescues of hosts."""
        body = await read_body(request, HostsBody)
        return json_answer(await self._boots.cancel_rescue(body.hosts, actor=actor_of(request)))

    @operation(WithdrawnRequest, errors=[UnknownHostError, StoreError])
    async def cancel_wipe(self, request: web.Request) -> web.Response:
        """End the open wipe of a retired host, by its name or a MAC."""
        machine = request.match_info["machine"]
        return json_answer(await self._boots.cancel_wipe(machine, actor=actor_of(request)))
