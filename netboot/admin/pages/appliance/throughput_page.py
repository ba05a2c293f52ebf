"""The page of throughput: what was sent to machines in the last hour, by protocol."""

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from netboot.admin.pages.appliance.throughput_plot import throughput_plot
from netboot.admin.pages.page_engine import PageEngine
from netboot.telemetry.throughput import Throughput


class ThroughputPages:
    """Serves the page."""

    def __init__(self, throughput: Throughput, engine: PageEngine, *, now: Callable[[], datetime]) -> None:
        self._throughput, self._engine, self._now = throughput, engine, now

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/throughput", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """Show the plot, and the same in numbers."""
        plot = throughput_plot(self._throughput.recent(), self._now())
        return await self._engine.answer(request, "throughput.html.j2", page=plot)
