"""`/healthz` and `/readyz` of the administration: the state of each part, with its reasons.

They need no login; beyond this appliance, without one, the answer is the state alone.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import requester_of
from netboot.admin.json_views import json_text
from netboot.model.access.access_rule import Need
from netboot.telemetry.health import Health


class HealthApi:
    """Answers 503 while the daemon does not serve machines, or with `/readyz` not as declared."""

    def __init__(self, check: Callable[[], Awaitable[Health]]) -> None:
        self._check = check

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self.health), web.get("/readyz", self.readiness)]

    @needs(Need.OPEN)
    async def health(self, request: web.Request) -> web.Response:
        found = await self._check()
        return _answer(request, found, is_well=found.can_serve)

    @needs(Need.OPEN)
    async def readiness(self, request: web.Request) -> web.Response:
        found = await self._check()
        return _answer(request, found, is_well=found.serves_as_declared)


def _answer(request: web.Request, found: Health, *, is_well: bool) -> web.Response:
    parts = {} if requester_of(request).is_anonymous else {"parts": found.parts}
    text = json_text({"status": found.status, **parts})
    return web.json_response(text=text, status=200 if is_well else 503, headers={"Cache-Control": "no-store"})
