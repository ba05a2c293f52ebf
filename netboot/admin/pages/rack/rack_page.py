"""The first page: counts by state, what needs attention, the rack as a table; and the table as CSV."""

import asyncio
from collections.abc import Iterable, Mapping

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.pages.rack.rack_filter import RackFilter
from netboot.admin.pages.rack.rack_view import rack_view, usual
from netboot.admin.pages.rollout.rollout_page import ReadRollouts, rollouts_or_none
from netboot.admin.pages.rollout.rollout_views import rollout_attention
from netboot.admin.pages.updates.updates_page import ReadBoard, board_or_none
from netboot.admin.pages.updates.updates_views import update_attention
from netboot.admin.texts.csv_rows import csv_rows
from netboot.model.access.access_rule import Need
from netboot.model.install.install import InstallState
from netboot.operate.rack.rack_overview import RackOverview
from netboot.operate.rack.rack_row import HostRow

_COLUMNS = (
    "name",
    "role",
    "state",
    "armed",
    "changed_at",
    "address",
    "macs",
    "manufacturer_and_product",
    "serial",
    "switch_port",
    "last_event",
    "last_event_at",
    "needs_attention",
)


class RackPage:
    def __init__(self, rack: RackOverview, engine: PageEngine, *, updates: ReadBoard, rollouts: ReadRollouts) -> None:
        self._rack, self._engine, self._updates, self._rollouts = rack, engine, updates, rollouts

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.show), web.get("/rack.csv", self.export), web.post("/rack.csv", self.export)]

    async def show(self, request: web.Request) -> web.Response:
        """Show the rack, filtered and sorted by the query."""
        board = await board_or_none(self._updates)
        updates = update_attention(board) if board is not None else ()
        rack, rollouts = await asyncio.gather(self._rack.read(), rollouts_or_none(self._rollouts))
        ready = {row.host.name for row in rack.rows if row.install.state is InstallState.READY}
        page = rack_view(rack, RackFilter.of_query(request.query), updates, rollout_attention(rollouts, ready))
        return await self._engine.answer(request, "rack.html.j2", page=page, usual=usual)

    @needs(Need.READ)
    async def export(self, request: web.Request) -> web.Response:
        """Answer with hosts as CSV (RFC 4180): those that `host` selects, in query or form; else all of the filter."""
        form = await request.post() if request.method == "POST" else {}
        rows, names = (await self._rack.read()).rows, _selected(request.query) | _selected(form)
        wanted = RackFilter.of_query(request.query)
        shown = [row for row in wanted.applied(rows) if not names or row.host.name in names]
        headers = {
            "Content-Disposition": 'attachment; filename="rack.csv"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(text=csv_text(shown), content_type="text/csv", headers=headers)


def _selected(values: Mapping[str, object]) -> frozenset[str]:
    return frozenset(str(value) for name, value in values.items() if name == "host")


def csv_text(rows: Iterable[HostRow]) -> str:
    """Write hosts as CSV."""
    return csv_rows([_COLUMNS, *map(_values, rows)])


def _values(row: HostRow) -> tuple[object, ...]:
    install, event = row.install, row.event
    return (
        row.host.name,
        row.host.role,
        install.state,
        "yes" if install.is_armed else "no",
        install.changed_at and install.changed_at.isoformat(),
        row.address,
        " ".join(row.host.macs),
        row.model,
        row.serial,
        row.switch_port,
        event and event.name,
        event and event.at.isoformat(),
        row.cause.sentence if row.attention is not None and row.cause is not None else row.attention,
    )
