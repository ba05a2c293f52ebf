"""`/healthz` and `/readyz` of the administration: the state of each part, with its reasons.

They need no login; beyond this appliance, without one, the answer is the state alone.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NotRequired

from aiohttp import web
from typing_extensions import TypedDict

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import requester_of
from netboot.admin.api.operation import operation
from netboot.admin.json_views import json_text
from netboot.model.access.access_rule import Need
from netboot.telemetry.health import Health, HealthPart, PartState


class HealthView(TypedDict):
    """The worst state of a kind of part, and each part with its reasons, which an anonymous request does not get."""

    status: PartState
    parts: NotRequired[Sequence[HealthPart]]


class HealthApi:
    """Answers 503 while the daemon does not serve machines, or with `/readyz` not as declared."""

    def __init__(self, check: Callable[[], Awaitable[Health]]) -> None:
        self._check = check

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self.health), web.get("/readyz", self.readiness)]

    @needs(Need.OPEN)
    @operation(HealthView, other_statuses=[503])
    async def health(self, request: web.Request) -> web.Response:
        """Return whether machines are served; 503 if not."""
        found = await self._check()
        return _answer(request, found, is_well=found.can_serve)

    @needs(Need.OPEN)
    @operation(HealthView, other_statuses=[503])
    async def readiness(self, request: web.Request) -> web.Response:
        """Return whether machines are served as declared; 503 if not."""
        found = await self._check()
        return _answer(request, found, is_well=found.serves_as_declared)


def _answer(request: web.Request, found: Health, *, is_well: bool) -> web.Response:
    view: HealthView = {"status": found.status}
    if not requester_of(request).is_anonymous:
        view["parts"] = found.parts
    return web.json_response(
        text=json_text(view), status=200 if is_well else 503, headers={"Cache-Control": "no-store"}
    )
