"""The routes of rollouts, and the one that shows the cluster."""

import asyncio
from typing import Annotated

from aiohttp import web
from pydantic import Field

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import RequestModel, read_body
from netboot.admin.json_views import json_text
from netboot.errors import RolloutError, StoreError, UnknownHostError, UnknownRolloutError
from netboot.model.access.access_rule import Need
from netboot.model.rollout.rollout import MOST_HOSTS, MOST_PARALLEL
from netboot.operate.rollout.new_rollout import RolloutRequest
from netboot.operate.rollout.rollout_status import ClusterStatus, RolloutStatus
from netboot.operate.rollout.rollout_uses import PrintedCommands, RolloutPlan, RolloutUses

_Hosts = Annotated[list[str], Field(default_factory=list, description="a list of names of hosts")]
_Reason = Annotated[str, Field(description="a text")]


class RolloutBody(RequestModel):
    """Hosts of a rollout; none: every one that is not ready. `replace`: a node that leaves the cluster first."""

    hosts: _Hosts
    max_parallel: Annotated[
        int | None, Field(ge=1, le=MOST_PARALLEL, description=f"a number from 1 to {MOST_PARALLEL}")
    ] = None
    failure_budget: Annotated[
        int | None, Field(ge=0, le=MOST_HOSTS, description=f"a number from 0 to {MOST_HOSTS}")
    ] = None
    power: Annotated[bool, Field(description="true or false")] = True
    replace: Annotated[str | None, Field(description="the name of a host")] = None

    def request(self) -> RolloutRequest:
        return RolloutRequest(self.hosts, self.max_parallel, self.failure_budget, self.power, self.replace)


class ReasonBody(RequestModel):
    """Why it is paused."""

    reason: _Reason = ""


class RolloutCancelBody(RequestModel):
    """Hosts that leave the rollout; none: all of them, which ends it."""

    hosts: _Hosts
    reason: _Reason = ""


class RetryBody(RequestModel):
    """A host that failed or was cancelled."""

    host: Annotated[str, Field(description="the name of a host")]


class RolloutsApi:
    def __init__(self, rollouts: RolloutUses) -> None:
        self._rollouts = rollouts

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/cluster", self.cluster),
            web.get("/api/v1/rollouts", self.rollouts),
            web.post("/api/v1/rollouts", self.begin),
            web.post("/api/v1/rollouts/plan", self.plan),
            web.get("/api/v1/rollouts/newest", self.newest),
            web.get("/api/v1/rollouts/active/commands", self.commands),
            web.post("/api/v1/rollouts/active/pause", self.pause),
            web.post("/api/v1/rollouts/active/resume", self.resume),
            web.post("/api/v1/rollouts/active/cancel", self.cancel),
            web.post("/api/v1/rollouts/active/retry", self.retry),
            web.post("/api/v1/rollouts/active/confirm", self.confirm),
        ]

    @operation(ClusterStatus, errors=[StoreError])
    async def cluster(self, _request: web.Request) -> web.Response:
        """Show the cluster: nodes, deadlines, the active rollout, the next command."""
        return json_answer(await self._rollouts.cluster())

    @operation(list[RolloutStatus], errors=[StoreError])
    async def rollouts(self, _request: web.Request) -> web.Response:
        """List the rollouts that are kept, the newest first."""
        # perhaps 50 of 1,000 hosts: one at a time, off the event loop
        kept = [await asyncio.to_thread(json_text, each) async for each in self._rollouts.all()]
        return web.json_response(text=f"[{', '.join(kept)}]")

    @operation(RolloutStatus, body=RolloutBody, errors=[RolloutError, UnknownHostError, StoreError])
    async def begin(self, request: web.Request) -> web.Response:
        """Begin a rollout.

        Its hosts are installed, which wipes their disks, and join the cluster in order. One is active at a time.
        """
        body = await read_body(request, RolloutBody)
        return json_answer(await self._rollouts.begin(body.request(), actor=actor_of(request)))

    @needs(Need.READ)
    @operation(RolloutPlan, body=RolloutBody, errors=[RolloutError, UnknownHostError, StoreError])
    async def plan(self, request: web.Request) -> web.Response:
        """Show the schedule of a rollout with its deadlines; it changes nothing."""
        body = await read_body(request, RolloutBody)
        return json_answer(await self._rollouts.plan(body.request()))

    @operation(RolloutStatus, errors=[UnknownRolloutError, StoreError])
    async def newest(self, _request: web.Request) -> web.Response:
        """Show the rollout that began last."""
        return json_answer(await self._rollouts.show())

    @needs(Need.CHANGE)
    @operation(list[PrintedCommands], errors=[RolloutError, StoreError])
    async def commands(self, _request: web.Request) -> web.Response:
        """Show the commands that a person runs, with a token and a key in them.

        Only for whoever may change something. Empty where another appliance has them.
        """
        return json_answer(await self._rollouts.printed())

    @operation(RolloutStatus, body=ReasonBody, errors=[RolloutError, StoreError])
    async def pause(self, request: web.Request) -> web.Response:
        """Let the rollout begin nothing new."""
        body = await read_body(request, ReasonBody)
        return json_answer(await self._rollouts.pause(reason=body.reason, actor=actor_of(request)))

    @operation(RolloutStatus, errors=[RolloutError, StoreError])
    async def resume(self, request: web.Request) -> web.Response:
        """Let the rollout go on; failed hosts are accepted, failed commands run again."""
        return json_answer(await self._rollouts.resume(actor=actor_of(request)))

    @operation(RolloutStatus, body=RolloutCancelBody, errors=[RolloutError, StoreError])
    async def cancel(self, request: web.Request) -> web.Response:
        """Take hosts out of the rollout, or end it."""
        body = await read_body(request, RolloutCancelBody)
        return json_answer(await self._rollouts.cancel(body.hosts, reason=body.reason, actor=actor_of(request)))

    @operation(RolloutStatus, body=RetryBody, errors=[RolloutError, StoreError])
    async def retry(self, request: web.Request) -> web.Response:
        """Install a host again that failed or was cancelled."""
        body = await read_body(request, RetryBody)
        return json_answer(await self._rollouts.retry(body.host, actor=actor_of(request)))

    @operation(RolloutStatus, errors=[RolloutError, StoreError])
    async def confirm(self, request: web.Request) -> web.Response:
        """Confirm that a person ran what the rollout waits for."""
        return json_answer(await self._rollouts.confirm(actor=actor_of(request)))
