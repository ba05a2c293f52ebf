"""The pages of one host: itself, one of its boots, its documents, its history; and its log as a file."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from netboot.admin.access.requester import requester_of
from netboot.admin.pages.boots.log_download import send_log
from netboot.admin.pages.boots.machine_boots import MachineBoots, boot_number
from netboot.admin.pages.hosts import plan_view
from netboot.admin.pages.hosts.host_view import MoveRow, host_url, host_view, move_rows
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.pages.power.power_view import power_view
from netboot.admin.pages.updates.updates_page import ReadBoard, board_or_none
from netboot.admin.pages.updates.updates_views import node_row
from netboot.errors import NetbootError
from netboot.model.access.access_rule import Need
from netboot.model.host.host import HostName
from netboot.operate.administration import Administration
from netboot.operate.planning.explanation import WrittenValues
from netboot.operate.planning.host_plans import HostPlans

_NO_VALUES: Final = WrittenValues((), ())


@dataclass(frozen=True, slots=True)
class HistoryView:
    """What the page of a history shows, the newest line first."""

    name: str
    url: str
    history: tuple[MoveRow, ...]


class HostPages:
    def __init__(
        self,
        administration: Administration,
        plans: HostPlans,
        boots: MachineBoots,
        engine: PageEngine,
        *,
        updates: ReadBoard,
    ) -> None:
        self._administration, self._plans, self._boots, self._engine = administration, plans, boots, engine
        self._updates = updates

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/hosts/{host}", self.show),
            web.get("/hosts/{host}/boots/{boot}", self.show_boot),
            web.get("/hosts/{host}/plan", self.show_plan),
            web.get("/hosts/{host}/history", self.show_history),
            web.get("/hosts/{host}/log", self.send_log),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show a host with its last boot."""
        name = request.match_info["host"]
        report, actions = await self._administration.host(name), await self._administration.host_actions.of(name)
        boots = await self._boots.of(name, page_url=host_url(name))
        history = await self._administration.history(name)
        refusal = requester_of(request).refusal(Need.CHANGE)
        sentence = refusal.sentence if refusal is not None else None
        page = host_view(report, actions, boots, history, refusal=sentence)
        update = node_row(await board_or_none(self._updates), name)
        power = power_view(report.host, await self._administration.power.of_host(name), host_url(name))
        return await self._engine.answer(request, "host.html.j2", page=page, update=update, power=power)

    async def show_boot(self, request: web.Request) -> web.Response:
        """Show a boot with its log."""
        name, url = request.match_info["host"], host_url(request.match_info["host"])
        boots = await self._boots.of(name, page_url=url, number=boot_number(request))
        return await self._engine.answer(request, "boot.html.j2", page=boots.page(name, url))

    async def show_history(self, request: web.Request) -> web.Response:
        """Show every line of a host's history."""
        name = request.match_info["host"]
        page = HistoryView(name, host_url(name), move_rows(await self._administration.history(name)))
        return await self._engine.answer(request, "history.html.j2", page=page)

    async def show_plan(self, request: web.Request) -> web.Response:
        """Show what a host would receive, why, and what it was served last."""
        name = request.match_info["host"]
        plan, found = await self._plans.plan(name), await self._plans.next_boot(name)
        install = await self._administration.install(name)
        served = await self._administration.served_documents(name)
        written, problem = await self._written(name)
        page = plan_view.PlanView(
            name,
            host_url(name),
            str(install.blocked or ""),
            plan_view.offer_facts(found),
            plan_view.local_boot_facts(found),
            plan_view.url_facts(found),
            plan_view.is_embedded(found),
            plan_view.planned_documents(plan),
            plan_view.value_rows(written),
            tuple(map(str, written.faults)),
            problem,
            plan_view.served_documents(served),
        )
        return await self._engine.answer(request, "plan.html.j2", page=page)

    async def _written(self, name: str) -> tuple[WrittenValues, str]:
        """Read the values of the files; the rest of the page does not depend on them."""
        try:
            return await self._plans.written_values(HostName(name)), ""
        except NetbootError as error:
            return _NO_VALUES, str(error)

    async def send_log(self, request: web.Request) -> web.StreamResponse:
        """Send the log of a boot as a text file."""
        return await send_log(request, self._administration.logs, request.match_info["host"])
