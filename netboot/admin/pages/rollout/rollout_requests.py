"""The forms that change the active rollout, the confirmations of a cancellation and a retry, and the printed commands.

The page of the printed commands has a token and a key: it is only for whoever may change something.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of
from netboot.admin.pages.actions.confirmation import Confirmation, ConfirmedHost
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.pages.rollout.rollout_views import ROLLOUT_PATH
from netboot.model.access.access_rule import Need
from netboot.model.host.host import HostSet
from netboot.operate.actions.host_verbs import HostAction, HostVerb
from netboot.operate.rollout.rollout_uses import PrintedCommands, RolloutUses

_CANCELS_ALL = (
    "Every host that is not ready leaves the rollout, which ends it. Their armings end, and hosts that are installed "
    "do not join. An installer that was allowed to wipe the disk continues."
)
_CANCELS = (
    "The host leaves the rollout, its arming ends, and it does not join. An installer that was allowed to wipe the "
    "disk continues."
)
_RETRIES = "The disk is wiped, and the host is installed again. It joins in its turn."


@dataclass(frozen=True, slots=True)
class RolloutActionView:
    """The confirmation of an action; `host` empty: on the whole rollout. `typed`: what the operator types."""

    action: str
    title: str
    consequence: str
    host: str
    typed: str | None = None
    faults: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PrintedView:
    """The commands that a person runs, with their secrets."""

    printed: Sequence[PrintedCommands]

    @property
    def is_here(self) -> bool:
        """Whether this appliance has them."""
        return all(each.commands for each in self.printed)


class RolloutRequests:
    def __init__(self, rollouts: RolloutUses, engine: PageEngine, *, hosts: Callable[[], HostSet]) -> None:
        self._rollouts, self._engine, self._hosts = rollouts, engine, hosts

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/rollout/pause", self.pause),
            web.post("/rollout/resume", self.resume),
            web.post("/rollout/confirm", self.confirm),
            web.get("/rollout/cancel", self.show_cancel),
            web.post("/rollout/cancel", self.cancel),
            web.get("/rollout/retry", self.show_retry),
            web.post("/rollout/retry", self.retry),
            web.get("/rollout/commands", self.show_commands),
        ]

    async def pause(self, request: web.Request) -> web.Response:
        """Let the rollout begin nothing new."""
        await self._rollouts.pause(reason="", actor=actor_of(request))
        return self._engine.back(ROLLOUT_PATH, done="The rollout is paused. What has begun goes on.", kind="info")

    async def resume(self, request: web.Request) -> web.Response:
        """Let the rollout go on."""
        await self._rollouts.resume(actor=actor_of(request))
        return self._engine.back(ROLLOUT_PATH, done="The rollout goes on.")

    async def confirm(self, request: web.Request) -> web.Response:
        """Note that a person ran what the rollout waits for."""
        await self._rollouts.confirm(actor=actor_of(request))
        return self._engine.back(ROLLOUT_PATH, done="It is noted as done. The rollout goes on.")

    async def show_cancel(self, request: web.Request) -> web.Response:
        """Show what a cancellation does."""
        return await self._answer(request, await self._cancellation(request.query.get("host", "")))

    async def cancel(self, request: web.Request) -> web.Response:
        """Take a host out of the rollout, or end it."""
        form = await request.post()
        host, reason = str(form.get("host", "")), str(form.get("reason", "")).strip()
        await self._rollouts.cancel([host] if host else [], reason=reason, actor=actor_of(request))
        return self._engine.back(ROLLOUT_PATH, done=f"{host or 'The rollout'} is cancelled.", kind="info")

    async def show_retry(self, request: web.Request) -> web.Response:
        """Show what a retry does."""
        return await self._answer(request, await self._retry(request.query.get("host", "")))

    async def retry(self, request: web.Request) -> web.Response:
        """Install a host again that failed or was cancelled."""
        form = await request.post()
        page = await self._retry(str(form.get("host", "")))
        if page.typed is not None and str(form.get("confirm", "")).strip() != page.typed:
            fault = f"Type {page.typed} to confirm that the disk is wiped. Nothing was changed."
            return await self._answer(request, replace(page, faults=[fault]), status=422)
        await self._rollouts.retry(page.host, actor=actor_of(request))
        return self._engine.back(ROLLOUT_PATH, done=f"{page.host} is installed again.")

    @needs(Need.CHANGE)
    async def show_commands(self, request: web.Request) -> web.Response:
        """Show the commands that a person runs."""
        page = PrintedView(await self._rollouts.printed())
        return await self._engine.answer(request, "rollout_commands.html.j2", page=page)

    async def _cancellation(self, host: str) -> RolloutActionView:
        """Raise RolloutError if it is refused."""
        await self._rollouts.judge_cancel([host] if host else [])
        what = f"{host} in the rollout" if host else "the rollout"
        return RolloutActionView("cancel", f"Cancel {what}", _CANCELS if host else _CANCELS_ALL, host)

    async def _retry(self, name: str) -> RolloutActionView:
        """Raise RolloutError if it is refused, UnknownHostError if no file declares the host any more."""
        await self._rollouts.judge_retry(name)
        host = self._hosts().named(name)
        install = await self._rollouts.install_moves.read(host.name)
        found = ConfirmedHost(host, install, HostAction(host.name, HostVerb.ARM))
        typed = Confirmation(HostVerb.ARM, [found], ROLLOUT_PATH).typed
        return RolloutActionView("retry", f"Retry {name} in the rollout", _RETRIES, name, typed)

    async def _answer(self, request: web.Request, page: RolloutActionView, *, status: int = 200) -> web.Response:
        return await self._engine.answer(request, "rollout_action.html.j2", status=status, page=page)
