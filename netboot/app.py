"""The fuse box: builds everything from the settings, runs it in one TaskGroup, reloads it, stops it.

The only room, beside the commands, that sees the settings. Decides nothing itself.
"""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from netboot import __version__
from netboot.boot import loaders
from netboot.boot.administration import Administration, View
from netboot.boot.desk import Clock, Desk
from netboot.boot.documents import Documents
from netboot.boot.installs import InstallBook
from netboot.boot.lease_desk import LeaseDesk
from netboot.boot.seen import SeenMachines
from netboot.boot.token_desk import TokenDesk
from netboot.config.load import Configuration, load
from netboot.config.settings import Settings
from netboot.content.assets import assets_directory
from netboot.content.bootfiles import BootFiles
from netboot.content.deltas import keep_deltas
from netboot.content.library import Library
from netboot.content.objects import Content
from netboot.content.uploads import Upload, UploadKind, Uploads
from netboot.errors import ConfigError, NetbootError
from netboot.model.host import HostSet
from netboot.model.lease import LeasePolicy
from netboot.model.network import Interface, WantedInterface
from netboot.model.offer import Policy
from netboot.render.content_place import ContentPlace
from netboot.render.engine import Engine
from netboot.servers import http_api, logs, systemd
from netboot.servers.content_worker import WorkerOptions
from netboot.servers.content_workers import ContentWorkers
from netboot.servers.dhcp import DhcpServer, DhcpSettings
from netboot.servers.dhcp_leases import Leasing
from netboot.servers.http import HttpDoor, counted
from netboot.servers.http_boot import BootHttp
from netboot.servers.http_bootfiles import BootFilesHttp
from netboot.servers.http_content import ContentDoor, content_routes
from netboot.servers.http_shares import ShareLimits
from netboot.servers.http_uploads import UploadsHttp
from netboot.servers.interfaces import Interfaces
from netboot.servers.metrics import Metrics
from netboot.servers.tftp import TftpServer, TftpSettings
from netboot.servers.tftp_transfers import TransferLimits
from netboot.store.database import Database
from netboot.store.events import EventLog
from netboot.store.installs import Installs
from netboot.store.leases import LeaseLedger
from netboot.store.machines import Machine, Machines

DRAIN_S: Final = 20.0  # a kernel and initrd on their way at SIGTERM still arrive

log = structlog.get_logger()


def utc_now() -> datetime:
    """Tell the time of day, for records."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The open store."""

    book: InstallBook
    events: EventLog
    machines: Machines
    leases: LeaseLedger


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the store that the settings name; raise StoreError."""
    database = await Database.open(settings.store.url)
    try:
        events = EventLog(database, now=utc_now)
        book = InstallBook(Installs(database), events, now=utc_now)
        yield Ledger(book, events, Machines(database), LeaseLedger(database))
        await events.flush()
    finally:
        await database.close()


@asynccontextmanager
async def offline_administration(configuration: Configuration) -> AsyncIterator[Administration]:
    """Open the administration on the store itself, where no daemon runs."""
    async with open_ledger(configuration.settings) as ledger:
        administration = Administration(
            ledger.book, ledger.events, machines=ledger.machines, attempts=configuration.settings.install.attempts
        )
        administration.use(configuration.hosts)
        yield administration


def documents_for(settings: Settings) -> Documents:
    """Build the maker of documents: the operator's templates are searched before ours."""
    templates = [*settings.render.templates, assets_directory() / "templates"]
    content = settings.content
    place = ContentPlace(content.url, content.port if content.workers else None)
    return Documents(Engine(templates), content.directory, place=place)


def policy_for(settings: Settings, bootfiles: BootFiles, hosts: HostSet) -> Policy:
    """Gather what decides beside host and install; raise ConfigError for a loader that is not there."""
    rules = [choice.rule() for choice in settings.bootfiles.loaders]
    return loaders.policy(settings.hosts.unknown, rules, hosts=hosts, bootfiles=bootfiles)


def lease_policy_for(settings: Settings) -> LeasePolicy:
    """Gather what leases say beside the registry."""
    dhcp = settings.dhcp
    return LeasePolicy(dhcp.pool, dhcp.lease_s, dhcp.router, dhcp.nameservers, dhcp.domain)


class Daemon:
    """The running appliance: what `serve` runs, and what the API may ask of it."""

    def __init__(self, path: Path, configuration: Configuration, ledger: Ledger, seen: SeenMachines) -> None:
        self._path = path
        self._settings = configuration.settings
        self._started_at = utc_now()
        self._ledger = ledger
        self._stopping = asyncio.Event()
        self._content_changed = asyncio.Event()
        self.metrics = Metrics()
        self.content = Content(self._settings.content.directory)
        clock = Clock(now=utc_now, monotonic=time.monotonic, random_bytes=secrets.token_bytes)
        self.desk = Desk(
            book=ledger.book,
            events=ledger.events,
            machines=ledger.machines,
            seen=seen,
            clock=clock,
        )
        policy = lease_policy_for(self._settings)
        self.leases = LeaseDesk(policy, ledger.leases, events=ledger.events, clock=clock)
        self.administration = Administration(
            ledger.book, ledger.events, machines=ledger.machines, attempts=self._settings.install.attempts
        )
        limits = ShareLimits(self._settings.http.max_streams, self._settings.http.client_rate)
        uploads = Uploads(self._settings.content.directory)
        self.uploads = UploadsHttp(uploads, self._import_command, now=utc_now)
        self.content_door = ContentDoor(self.content, self.desk, counters=self.metrics, limits=limits)
        self.workers = ContentWorkers(_worker_options(self._settings), self.desk, counters=self.metrics)

    async def use(self, configuration: Configuration) -> None:
        """Answer from this configuration from now on; files are read off the loop first."""
        settings = configuration.settings
        bootfiles = await asyncio.to_thread(BootFiles, settings.bootfiles.directories)
        policy = policy_for(settings, bootfiles, configuration.hosts)
        documents = documents_for(settings)
        await documents.warm(configuration.hosts)
        await asyncio.to_thread(self.content.refresh)
        self.content_door.reloaded()
        self.workers.reload()
        self.desk.use(configuration.hosts, policy, documents=documents, bootfiles=bootfiles)
        self.leases.use(configuration.hosts)
        self.administration.use(configuration.hosts)
        for problem in self.content.problems:
            log.warning("content.left_out", reason=problem)
        self._content_changed.set()

    async def reload(self) -> View:
        """Read the files again and swap; raise ConfigError, and keep what was, where they have faults."""
        try:
            configuration = await asyncio.to_thread(load, self._path)
            needs_restart = _needs_restart(self._settings, configuration.settings)
            await self.use(configuration)
        except ConfigError as error:
            for problem in error.problems:
                log.error("config.rejected", problem=str(problem))
            raise
        log.info("config.reloaded", hosts=len(configuration.hosts), needs_restart=needs_restart)
        return {"hosts": len(configuration.hosts), "needs_restart": needs_restart}

    def status(self) -> View:
        """Say how the daemon is."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(),
            "hosts": len(self.desk.hosts),
            "machines": len(self.desk.discovered()),
            "media": list(self.content.media),
            "releases": list(self.content.releases),
            "pulls": self.desk.pulls(),
            "loaders": {f"{protocol}/{cpu}": name for (protocol, cpu), name in self.desk.policy.loaders.items()},
        }

    def discovered(self) -> list[Machine]:
        """List the machines that nobody registered."""
        return self.desk.discovered()

    async def run(self) -> None:
        """Open every door, tell systemd, and serve until SIGTERM or SIGINT."""
        settings = self._settings
        wanted = [WantedInterface(interface.name, interface.address) for interface in settings.network.interfaces]
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._ledger.events.run()),
                tasks.create_task(self._ledger.machines.run()),
                tasks.create_task(self.desk.run()),
                tasks.create_task(self.uploads.run()),
                *self._delta_makers(tasks),
            ]
            try:
                await self._open_admin(stack)
                interfaces = await stack.enter_async_context(Interfaces(wanted))
                running += await self._open_boot_doors(stack, interfaces, tasks)
                self._listen_to_signals(tasks)
                systemd.notify("READY=1", f"STATUS=serving {len(self.desk.hosts)} hosts")
                log.info("daemon.started", version=__version__, hosts=len(self.desk.hosts), pid=os.getpid())
                await self._stopping.wait()
                systemd.notify("STOPPING=1")
            finally:
                await stack.aclose()
                for task in running:
                    task.cancel()
        log.info("daemon.stopped")

    def _delta_makers(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        if not self._settings.content.deltas:
            return []
        return [tasks.create_task(keep_deltas(Library(self._settings.content.directory), self._content_changed))]

    async def _open_boot_doors(
        self, stack: AsyncExitStack, interfaces: Interfaces, tasks: asyncio.TaskGroup
    ) -> list[asyncio.Task[None]]:
        settings = self._settings
        boot_http = HttpDoor(
            self._boot_application(), content=self.content_door, port=settings.http.port, drain_s=DRAIN_S
        )
        await boot_http.open()
        stack.push_async_callback(boot_http.close)
        given = settings.dhcp
        ports = DhcpSettings(given.mode, given.port, given.pxe_port, settings.http.port, given.listen)
        leasing = Leasing(self.leases, tasks.create_task)
        dhcp = DhcpServer(self.desk, ports, counters=self.metrics, leasing=leasing)
        tftp = TftpServer(self.desk, self._tftp_settings(), counters=self.metrics)
        stack.callback(tftp.close)
        stack.push_async_callback(tftp.drain, DRAIN_S)
        stack.callback(dhcp.close)  # first to go: nobody is sent to a server that stops
        interfaces.on_change(tftp.serve)
        stack.push_async_callback(self.workers.stop)
        fixed = [str(address) for address in settings.http.listen]
        addresses = fixed or [str(interface.address) for interface in interfaces.current]
        await boot_http.listen(addresses)
        self.workers.listen(addresses)
        running = [tasks.create_task(self.workers.run())]
        await self.workers.listening()
        interfaces.on_change(dhcp.serve)  # last to come: what it leads to is there
        running += [tasks.create_task(each) for each in (interfaces.follow(), self.leases.run())]
        if not fixed:
            running.append(tasks.create_task(_follow_addresses(interfaces, boot_http, self.workers)))
        return running

    async def _open_admin(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        app = http_api.build(self.administration, self, self.metrics)
        app.add_routes(self.uploads.routes())
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        socket = settings.admin.socket
        try:
            socket.parent.mkdir(parents=True, exist_ok=True)
            await web.UnixSite(runner, str(socket)).start()
            socket.chmod(0o660)
            await web.TCPSite(runner, str(settings.admin.listen.address), settings.admin.listen.port).start()
        except OSError as error:
            raise NetbootError(
                f"cannot open the administration on {socket} and {settings.admin.listen}: {error.strerror}; "
                "is another netboot running? see admin.socket and admin.listen"
            ) from error

    def _import_command(self, upload: Upload, data: str) -> list[str]:
        """Import as a person would: the same command, at low priority, in a process that may use memory."""
        verb = "import-iso" if upload.kind is UploadKind.ISO else "import-archive"
        name = ["--name", upload.name] if upload.name else []
        netboot = [sys.executable, "-m", "netboot", "--config", str(self._path)]
        return ["nice", "-n", "10", *netboot, "content", verb, data, *name, "--json"]

    def _boot_application(self) -> web.Application:
        app = web.Application(middlewares=[counted(self.metrics)])
        app.add_routes(BootHttp(self.desk, TokenDesk(self.desk)).routes())
        app.add_routes(BootFilesHttp(self.desk).routes())
        app.add_routes(content_routes(self.content_door))
        return app

    def _tftp_settings(self) -> TftpSettings:
        tftp = self._settings.tftp
        limits = TransferLimits(total=tftp.max_transfers, per_client=tftp.max_transfers_per_client)
        return TftpSettings(tftp.port, tftp.single_port, limits, self._settings.http.port)

    def _listen_to_signals(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        for stop in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(stop, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: tasks.create_task(self._reload_for_systemd()))

    async def _reload_for_systemd(self) -> None:
        systemd.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            await self.reload()
            status = f"serving {len(self.desk.hosts)} hosts"
        except NetbootError as error:
            status = f"kept the old configuration: {str(error).splitlines()[0]}"
        systemd.notify("READY=1", f"STATUS={status}")


async def serve(path: Path) -> None:
    """Run the daemon with the configuration at `path`; raise ConfigError or NetbootError where it cannot start."""
    configuration = load(path)
    settings = configuration.settings
    logs.configure(level=settings.log.level, form=settings.log.format)
    async with open_ledger(settings) as ledger:
        await ledger.book.load()
        daemon = Daemon(path, configuration, ledger, SeenMachines(await ledger.machines.all()))
        await daemon.leases.load()
        await daemon.use(configuration)
        try:
            await daemon.run()
        except ExceptionGroup as group:  # what ends a TaskGroup: one sentence where one thing was wrong
            if len(group.exceptions) == 1 and isinstance(group.exceptions[0], NetbootError):
                raise group.exceptions[0] from None
            raise


async def _follow_addresses(interfaces: Interfaces, door: HttpDoor, workers: ContentWorkers) -> None:
    changed = asyncio.Event()

    def note(_interfaces: Sequence[Interface]) -> None:
        changed.set()

    interfaces.on_change(note)
    while True:
        await changed.wait()
        changed.clear()
        addresses = [str(interface.address) for interface in interfaces.current]
        workers.listen(addresses)
        try:
            await door.listen(addresses)
        except NetbootError as error:
            log.error("http.bind_failed", reason=str(error))


def _worker_options(settings: Settings) -> WorkerOptions:
    content, http = settings.content, settings.http
    return WorkerOptions(
        str(content.directory),
        content.port,
        content.workers,
        max_streams=http.max_streams,
        client_rate=http.client_rate,
        drain_s=DRAIN_S,
        log_level=settings.log.level.value,
        log_form=settings.log.format.value,
    )


def _needs_restart(running: Settings, read: Settings) -> list[str]:
    """Name the sections that were changed and that a reload does not touch."""
    return [
        section
        for section in ("network", "dhcp", "tftp", "http", "admin", "store", "log", "install")
        if getattr(running, section) != getattr(read, section)
    ] + (["content"] if running.content != read.content else [])
