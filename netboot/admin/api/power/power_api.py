"""The routes of the power of machines. What is requested is sent after the answer; its intent shows the end."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.operation import operation
from netboot.admin.api.power.power_bodies import IntentQuery, PowerAllBody, PowerBody, PowerQuery
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_body, read_query
from netboot.errors import StoreError, UnknownHostError, UnknownIntentError
from netboot.model.power.power import PowerIntent
from netboot.operate.administration import Administration
from netboot.operate.power.power_request import HostPower, ObservedPower, PowerRefusedError


class PowerApi:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/power", self.read_all),
            web.post("/api/v1/power", self.request_all),
            web.get("/api/v1/power/intents/{intent}", self.intent),
            web.get("/api/v1/hosts/{host}/power", self.read),
            web.post("/api/v1/hosts/{host}/power", self.request),
        ]

    @operation(list[ObservedPower], query=PowerQuery, errors=[UnknownHostError, StoreError])
    async def read_all(self, request: web.Request) -> web.Response:
        """Read the power states of machines from their BMCs.

        Hosts without a BMC are not listed. A BMC that does not answer within 20 seconds has its reason in `fault`.
        """
        selection = read_query(request, PowerQuery).selection
        return json_answer(await self._administration.power.read_all(selection))

    @operation(
        list[PowerIntent], status=202, body=PowerAllBody, errors=[UnknownHostError, PowerRefusedError, StoreError]
    )
    async def request_all(self, request: web.Request) -> web.Response:
        """Request an action on the power of several machines, of all of them or none.

        The intents are stored; each is sent to its BMC after the answer.
        """
        body = await read_body(request, PowerAllBody)
        found = await self._administration.power.request(body.request, actor=actor_of(request))
        return json_answer(found, status=202)

    @operation(PowerIntent, query=IntentQuery, errors=[UnknownIntentError, StoreError])
    async def intent(self, request: web.Request) -> web.Response:
        """Return an action when it has ended, or as it is after `wait_s`."""
        intent_id, wait_s = request.match_info["intent"], read_query(request, IntentQuery).wait_s
        return json_answer(await self._administration.power.ended(intent_id, timeout_s=wait_s))

    @operation(HostPower, errors=[UnknownHostError, StoreError])
    async def read(self, request: web.Request) -> web.Response:
        """Read the power state of a machine from its BMC; with its actions, and why some are refused now."""
        return json_answer(await self._administration.power.read(request.match_info["host"]))

    @operation(PowerIntent, status=202, body=PowerBody, errors=[UnknownHostError, PowerRefusedError, StoreError])
    async def request(self, request: web.Request) -> web.Response:
        """Request an action on the power of a machine.

        The intent is stored, and sent to the BMC after the answer.
        """
        body = await read_body(request, PowerBody)
        wanted = body.request(request.match_info["host"])
        (intent,) = await self._administration.power.request(wanted, actor=actor_of(request))
        return json_answer(intent, status=202)
