"""The routes of the appliance's facts: its settings in force, versions, disks and interfaces, and its check."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.operate.appliance.appliance_checks import ApplianceChecks, CheckedAppliance
from netboot.operate.appliance.appliance_facts import ApplianceFacts, SettingInForce


class FactsApi:
    def __init__(
        self,
        settings: Callable[[], Sequence[SettingInForce]],
        facts: Callable[[], Awaitable[ApplianceFacts]],
        checks: ApplianceChecks,
    ) -> None:
        self._settings, self._facts, self._checks = settings, facts, checks

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/settings", self.settings),
            web.get("/api/v1/facts", self.facts),
            web.get("/api/v1/check", self.check),
        ]

    @operation(list[SettingInForce])
    async def settings(self, _request: web.Request) -> web.Response:
        """List the settings in force, each with its value and the place where a file has it."""
        return json_answer(self._settings())

    @operation(ApplianceFacts)
    async def facts(self, _request: web.Request) -> web.Response:
        """Show versions, disks and interfaces of the appliance."""
        return json_answer(await self._facts())

    @operation(CheckedAppliance)
    async def check(self, _request: web.Request) -> web.Response:
        """Check the configuration and the appliance, as `netboot check` does.

        The check runs in a process of its own, one at a time: who requests it meanwhile gets the same result.
        """
        return json_answer(await self._checks.result())
