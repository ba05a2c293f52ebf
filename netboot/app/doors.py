"""Every door of the daemon: what an offer leads to is open before DHCP is, and closed after it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

import structlog
from aiohttp import web

from netboot.app import from_settings
from netboot.app.from_settings import DRAIN_S
from netboot.boot.desk import Desk
from netboot.boot.file_desk import FileDesk
from netboot.boot.lease_desk import LeaseDesk
from netboot.boot.offer_desk import OfferDesk
from netboot.boot.token_desk import TokenDesk
from netboot.config.settings import Admin, Settings
from netboot.content.objects import Content
from netboot.errors import NetbootError
from netboot.model.network import Interface
from netboot.servers.content_workers import ContentWorkers
from netboot.servers.dhcp import DhcpServer
from netboot.servers.dhcp_leases import Leasing
from netboot.servers.http import HttpDoor, counted
from netboot.servers.http_boot import BootHttp
from netboot.servers.http_bootfiles import BootFilesHttp
from netboot.servers.http_content import ContentDoor, content_routes
from netboot.servers.http_runner import quiet_runner
from netboot.servers.interfaces import Interfaces
from netboot.servers.metrics import Metrics
from netboot.servers.tftp import TftpServer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desks:
    """Who answers at the doors."""

    scripts: Desk
    offers: OfferDesk
    files: FileDesk
    tokens: TokenDesk
    leases: LeaseDesk

    @classmethod
    def behind(cls, desk: Desk, leases: LeaseDesk) -> Self:
        """Make the desks that stand on `desk`."""
        return cls(desk, OfferDesk(desk), FileDesk(desk), TokenDesk(desk), leases)


class BootDoors:
    """What machines meet on the boot LAN: DHCP, TFTP, HTTP, content workers."""

    def __init__(self, settings: Settings, desks: Desks, content: Content, metrics: Metrics) -> None:
        self._settings = settings
        self._desks = desks
        self._metrics = metrics
        limits = from_settings.share_limits(settings)
        self._content = ContentDoor(content, desks.files, counters=metrics, limits=limits)
        self._workers = ContentWorkers(from_settings.worker_options(settings), desks.files, counters=metrics)
        self._http = HttpDoor(self._application(), content=self._content, port=settings.http.port, drain_s=DRAIN_S)
        self._tftp = TftpServer(desks.files, from_settings.tftp_settings(settings), counters=metrics)

    def content_changed(self) -> None:
        """Serve what the content directory holds now."""
        self._content.reloaded()
        self._workers.reload()

    async def open(
        self, stack: AsyncExitStack, interfaces: Interfaces, tasks: asyncio.TaskGroup
    ) -> list[asyncio.Task[None]]:
        """Open all of them; `stack` closes them. Returns what runs until it is cancelled."""
        await self._http.open()
        stack.push_async_callback(self._close_http)
        stack.callback(self._tftp.close)
        stack.push_async_callback(self._tftp.drain, DRAIN_S)
        interfaces.on_change(self._tftp.serve)
        fixed = [str(address) for address in self._settings.http.listen]
        addresses = fixed or _addresses(interfaces.current)
        await self._http.listen(addresses)
        self._workers.listen(addresses)
        running = [tasks.create_task(self._workers.run())]
        await self._workers.listening()
        leasing = Leasing(self._desks.leases, tasks.create_task)
        ports = from_settings.dhcp_settings(self._settings)
        dhcp = DhcpServer(self._desks.offers, ports, counters=self._metrics, leasing=leasing)
        stack.callback(dhcp.close)  # first to go: nobody is sent to a server that stops
        interfaces.on_change(dhcp.serve)  # last to come: what it leads to is there
        running += [tasks.create_task(each) for each in (interfaces.follow(), self._desks.leases.run())]
        if not fixed:
            running.append(tasks.create_task(self._follow(interfaces)))
        return running

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[counted(self._metrics)])
        app.add_routes(BootHttp(self._desks.scripts, self._desks.tokens).routes())
        app.add_routes(BootFilesHttp(self._desks.files).routes())
        app.add_routes(content_routes(self._content))
        return app

    async def _close_http(self) -> None:
        """Drain both at once: one after the other could outlast TimeoutStopSec."""
        await asyncio.gather(self._http.close(), self._workers.stop())

    async def _follow(self, interfaces: Interfaces) -> None:
        """Listen where the interfaces are, as their addresses come and go."""
        changed = asyncio.Event()

        def note(_interfaces: Sequence[Interface]) -> None:
            changed.set()

        interfaces.on_change(note)
        while True:
            await changed.wait()
            changed.clear()
            addresses = _addresses(interfaces.current)
            self._workers.listen(addresses)
            try:
                await self._http.listen(addresses)
            except NetbootError as error:
                log.error("http.bind_failed", reason=str(error))


@asynccontextmanager
async def admin_door(settings: Admin, application: web.Application, *, metrics: Metrics) -> AsyncIterator[None]:
    """Open the administration on the control socket and on `admin.listen`; raise NetbootError."""
    runner = quiet_runner(application, metrics, drain_s=1.0)
    await runner.setup()
    try:
        await _listen(runner, settings)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Admin) -> None:
    socket, listen = settings.socket, settings.listen
    try:
        socket.parent.mkdir(parents=True, exist_ok=True)
        await web.UnixSite(runner, str(socket)).start()
        socket.chmod(0o660)
        await web.TCPSite(runner, str(listen.address), listen.port).start()
    except OSError as error:
        raise NetbootError(
            f"cannot open the administration on {socket} and {listen}: {error.strerror}; "
            "is another netboot running? see admin.socket and admin.listen"
        ) from error


def _addresses(interfaces: Sequence[Interface]) -> list[str]:
    return [str(interface.address) for interface in interfaces]
