"""`/rollout`: the active rollout live, else the plan of one and its start; and the rollout that ended last."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.problems import status_of
from netboot.admin.pages.actions.confirmation import Answers
from netboot.admin.pages.actions.confirmation_pages import fault_of
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.pages.rollout.rollout_plan_view import PlanOptions, RolloutPlanView
from netboot.admin.pages.rollout.rollout_views import ROLLOUT_PATH, RolloutView
from netboot.errors import NetbootError, RolloutError, StoreError
from netboot.model.host.host import HostSet
from netboot.operate.rollout.new_rollout import refused
from netboot.operate.rollout.rollout_board import RolloutBoard
from netboot.operate.rollout.rollout_uses import RolloutUses

ReadRollouts = Callable[[], Awaitable[RolloutBoard]]


@dataclass(frozen=True, slots=True)
class RolloutPageView:
    """The page: the active rollout, or the plan of one; and the one that ended last."""

    active: RolloutView | None
    plan: RolloutPlanView
    ended: RolloutView | None

    @property
    def key(self) -> str:
        """What the page is of: a browser replaces all of it when this changes."""
        return f"rollout-{self.active.status.id}" if self.active is not None else "plan"


class RolloutPage:
    def __init__(
        self,
        rollouts: RolloutUses,
        engine: PageEngine,
        *,
        hosts: Callable[[], HostSet],
        now: Callable[[], datetime],
    ) -> None:
        self._rollouts, self._engine, self._hosts, self._now = rollouts, engine, hosts, now

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/rollout", self.show), web.post("/rollout", self.begin)]

    async def show(self, request: web.Request) -> web.Response:
        """Show the active rollout, else the plan of one with the options of the query."""
        return await self._answer(request, None)

    async def begin(self, request: web.Request) -> web.Response:
        """Begin the rollout that was shown, or show it again with the reasons."""
        form = await request.post()
        answers = Answers(confirmed=str(form.get("confirm", "")).strip(), seen=str(form.get("seen", "")))
        options = PlanOptions.of_query(request.query)
        plan = await self._plan(options)
        if plan.confirmation is None:
            return await self._answer(request, plan, status=422)
        confirmation = replace(plan.confirmation, answers=answers)
        try:
            if plan.refusals:  # also if a reason ended meanwhile: nothing was confirmed
                raise refused(plan.refusals)
            if (fault := fault_of(confirmation)) is not None:
                return await self._answer(request, replace(plan, faults=[fault]), status=422)
            begun = await self._rollouts.begin(options.request(), actor=actor_of(request))
        except RolloutError as error:
            return await self._answer(request, replace(plan, faults=str(error).splitlines()), status=status_of(error))
        return self._engine.back(ROLLOUT_PATH, done=f"Rollout {begun.id} has begun.")

    async def _answer(self, request: web.Request, plan: RolloutPlanView | None, *, status: int = 200) -> web.Response:
        """Answer with the page; `plan` None: it is made if no rollout is active."""
        board, hosts = await self._rollouts.board(), self._hosts()
        options = PlanOptions.of_query(request.query)
        if plan is None:
            plan = await self._plan(options) if board.active is None else RolloutPlanView(options)
        page = RolloutPageView(RolloutView.active_of(board, hosts), plan, RolloutView.ended_of(board))
        return await self._engine.answer(request, "rollout.html.j2", status=status, page=page)

    async def _plan(self, options: PlanOptions) -> RolloutPlanView:
        if (fault := options.fault) is not None:
            return RolloutPlanView(options, [fault])
        now = self._now()
        try:
            plan = await self._rollouts.plan(options.request())
        except StoreError:
            raise
        except NetbootError as error:  # of a name that is no host
            return RolloutPlanView(options, [str(error)])
        installs = await self._rollouts.install_moves.all()
        return RolloutPlanView.of(options, plan, self._hosts(), installs, began_at=now)


async def rollouts_or_none(read: ReadRollouts) -> RolloutBoard | None:
    """Read the rollouts for a page that shows more than them; None while they cannot be read."""
    try:
        return await read()
    except NetbootError:
        return None
