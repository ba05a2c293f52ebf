"""The page of the appliance: its health, what `netboot check` finds, interfaces, disks, hooks and settings."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import groupby
from typing import Final

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of
from netboot.admin.json_views import json_view
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.texts.reload_text import report
from netboot.errors import NetbootError
from netboot.model.access.access_rule import Need
from netboot.model.words import first_line
from netboot.operate.administration import Administration
from netboot.operate.appliance.appliance_checks import ApplianceChecks, CheckedAppliance
from netboot.operate.appliance.appliance_facts import ApplianceFacts, SettingInForce
from netboot.operate.hooks.hook_uses import HookStatus, HookUses
from netboot.operate.running_daemon import ApplianceStatus
from netboot.telemetry.health import Health, PartState

URL: Final = "/appliance"
_TONES: Final = {PartState.OK: "green", PartState.DEGRADED: "amber", PartState.FAILED: "red"}


@dataclass(frozen=True, slots=True)
class SettingsSection:
    """The settings of one section of `netboot.yaml`."""

    name: str
    settings: Sequence[SettingInForce]

    @property
    def written_count(self) -> int:
        """How many of them have no default."""
        return sum(each.file is not None for each in self.settings)


@dataclass(frozen=True, slots=True)
class ApplianceView:
    """What the page shows; `hooks_fault` is why the hooks are not known."""

    status: ApplianceStatus
    health: Health
    facts: ApplianceFacts
    sections: Sequence[SettingsSection]
    hooks: Sequence[HookStatus]
    hooks_fault: str | None
    checked: CheckedAppliance | None
    is_checking: bool

    @staticmethod
    def tone_of(state: PartState) -> str:
        """Return the class of the colour of a state."""
        return _TONES[state]


@dataclass(frozen=True, slots=True, eq=False)
class AppliancePages:
    """Serves the page and what it requests."""

    administration: Administration
    engine: PageEngine
    _: KW_ONLY
    check_health: Callable[[], Awaitable[Health]]
    facts: Callable[[], Awaitable[ApplianceFacts]]
    settings: Callable[[], Sequence[SettingInForce]]
    hooks: HookUses
    checks: ApplianceChecks

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/appliance", self.show),
            web.post("/appliance/reload", self.reload),
            web.post("/appliance/check", self.check),
            web.post("/appliance/hooks/{hook}/test", self.test_hook),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show the appliance; the first page after a start begins a check."""
        if self.checks.last is None:
            self.checks.begin()
        hooks, hooks_fault = await self._hooks()
        view = ApplianceView(
            await self.administration.status(),
            await self.check_health(),
            await self.facts(),
            sections_of(self.settings()),
            hooks,
            hooks_fault,
            self.checks.last,
            self.checks.is_running,
        )
        return await self.engine.answer(request, "appliance.html.j2", page=view)

    async def reload(self, request: web.Request) -> web.Response:
        """Put the files in force as they are now; the page then shows what changed."""
        taken = await self.administration.reload(actor=actor_of(request))
        self.checks.begin()
        is_sound = not (taken.problems or taken.needs_restart or taken.armings_ended)
        done = "; ".join(report(json_view(taken)))
        return self.engine.back(URL, done=first_line(done), kind="good" if is_sound else "warning")

    @needs(Need.READ)
    async def check(self, _request: web.Request) -> web.Response:
        """Begin a check, which changes nothing."""
        self.checks.begin()
        return self.engine.back(f"{URL}#check", done="The check runs.", kind="info")

    async def test_hook(self, request: web.Request) -> web.Response:
        """Deliver a test event to a hook now."""
        tested = await self.hooks.test(request.match_info["hook"])
        took = f"{tested.name} at {tested.target}, {tested.seconds:g} s: {first_line(tested.answer)}"
        if tested.ok:
            return self.engine.back(f"{URL}#hooks", done=f"The test event was delivered to {took}")
        return self.engine.back(f"{URL}#hooks", done=f"The test event was not delivered to {took}", kind="bad")

    async def _hooks(self) -> tuple[Sequence[HookStatus], str | None]:
        try:
            return await self.hooks.all(), None
        except NetbootError as error:
            return (), str(error)


def sections_of(settings: Sequence[SettingInForce]) -> list[SettingsSection]:
    """Group settings by their section."""
    return [
        SettingsSection(name, list(found)) for name, found in groupby(settings, lambda each: each.key.partition(".")[0])
    ]
