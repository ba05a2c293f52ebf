"""The routes that list the hooks and test one; on the administration's listeners only."""

from aiohttp import web

from netboot.admin.api.request_body import json_answer
from netboot.operate.hooks.hook_uses import HookUses


class HooksApi:
    def __init__(self, hooks: HookUses) -> None:
        self._hooks = hooks

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/hooks", self.all),
            web.post("/api/v1/hooks/{hook}/test", self.test),
        ]

    async def all(self, _request: web.Request) -> web.Response:
        return json_answer(await self._hooks.all())

    async def test(self, request: web.Request) -> web.Response:
        """Deliver a test event now; the outcome is in the answer, also if the receiver refused it."""
        return json_answer(await self._hooks.test(request.match_info["hook"]))
