"""Serves the administration on the control socket and on `admin.listen`."""

import structlog
from aiohttp import web

from netboot.errors import NetbootError
from netboot.serve.boot_http.runner import quiet_runner
from netboot.settings.settings import Admin
from netboot.telemetry.health import HealthPart, PartState
from netboot.telemetry.metrics import Metrics

log = structlog.get_logger()


class AdminListener:
    """The administration on the control socket and on `admin.listen`."""

    def __init__(self, settings: Admin, application: web.Application, *, metrics: Metrics) -> None:
        self._settings = settings
        self._runner = quiet_runner(application, metrics, drain_s=1.0)
        self._is_listening = False
        self.problem: str | None = None  # why `admin.listen` is not served now

    def part(self) -> HealthPart:
        """Return the state of `admin.listen`, which machines do not need."""
        return HealthPart.of("admin", self.problem, name=str(self._settings.listen), at_worst=PartState.DEGRADED)

    async def open(self) -> None:
        """Open both; raise NetbootError if the socket cannot be. `admin.listen` may be opened by a later `retry`."""
        await self._runner.setup()
        socket = self._settings.socket
        try:
            socket.parent.mkdir(parents=True, exist_ok=True)
            await web.UnixSite(self._runner, str(socket)).start()
            socket.chmod(0o660)
        except OSError as error:
            raise NetbootError(
                f"cannot open the administration on {socket}: {error.strerror}; "
                "is another netboot running? see admin.socket"
            ) from error
        await self.retry()

    async def retry(self) -> None:
        """Open `admin.listen`, if it could not be opened so far."""
        if self._is_listening:
            return
        listen = self._settings.listen
        site = web.TCPSite(self._runner, str(listen.address), listen.port)
        try:
            await site.start()
        except OSError as error:
            await site.stop()
            problem = f"cannot listen on {listen}: {error.strerror}; see admin.listen"
            if self.problem != problem:  # retried every few seconds
                log.error("admin.bind_failed", address=str(listen), reason=problem)
            self.problem = problem
            return
        self._is_listening, self.problem = True, None

    async def close(self) -> None:
        """Wait for running requests, then stop."""
        await self._runner.cleanup()
