"""`/healthz` and `/readyz` of the administration: the state of each part, with its reasons."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from netboot.admin.json_views import json_text
from netboot.telemetry.health import Health


class HealthApi:
    """Answers 503 while the daemon does not serve machines, or with `/readyz` not as declared."""

    def __init__(self, check: Callable[[], Awaitable[Health]]) -> None:
        self._check = check

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/healthz", self.health), web.get("/readyz", self.readiness)]

    async def health(self, _request: web.Request) -> web.Response:
        found = await self._check()
        return _answer(found, is_well=found.can_serve)

    async def readiness(self, _request: web.Request) -> web.Response:
        found = await self._check()
        return _answer(found, is_well=found.serves_as_declared)


def _answer(found: Health, *, is_well: bool) -> web.Response:
    text = json_text({"status": found.status, "parts": found.parts})
    return web.json_response(text=text, status=200 if is_well else 503, headers={"Cache-Control": "no-store"})
