"""The routes that list the hooks and test one; on the administration's listeners only."""

from aiohttp import web

from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.errors import StoreError, UnknownHookError
from netboot.operate.hooks.hook_uses import HookStatus, HookTest, HookUses


class HooksApi:
    def __init__(self, hooks: HookUses) -> None:
        self._hooks = hooks

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/hooks", self.all),
            web.post("/api/v1/hooks/{hook}/test", self.test),
        ]

    @operation(list[HookStatus], errors=[StoreError])
    async def all(self, _request: web.Request) -> web.Response:
        """List the hooks in force, and how their deliveries proceed."""
        return json_answer(await self._hooks.all())

    @operation(HookTest, errors=[UnknownHookError])
    async def test(self, request: web.Request) -> web.Response:
        """Deliver a test event now, once.

        The outcome is in the answer, also if the receiver refused it.
        """
        return json_answer(await self._hooks.test(request.match_info["hook"]))
