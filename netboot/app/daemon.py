"""The running appliance: builds everything, runs it in one TaskGroup, reloads it, stops it."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import structlog
from aiohttp import web

from netboot import __version__
from netboot.admin.api import admin_application
from netboot.admin.cluster_api import ClusterApi
from netboot.admin.hosts_api import HostsApi
from netboot.admin.upload_api import UploadApi
from netboot.app import from_settings, process
from netboot.app.armed_content import ArmedContent
from netboot.app.boot_services import BootServices
from netboot.app.hosts_in_force import warn_of_removed
from netboot.app.listeners import RETRY_S, AdminListener, BootListeners, ended
from netboot.app.process import Signals, notify_systemd
from netboot.app.store_access import OpenStore, open_store
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.content.library.disk import write_fault
from netboot.content.library.library import Library
from netboot.content.library.uploads import Upload, UploadKind, Uploads
from netboot.content.ostree.deltas import keep_deltas
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.trees import Tree
from netboot.control_socket import is_answered
from netboot.errors import ConfigError, NetbootError, Problem, StoreError
from netboot.leasing.lease_service import LeaseService
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.clock import SYSTEM_CLOCK, Clock
from netboot.model.host.host import HostName
from netboot.model.release import EntryKind, EntryName
from netboot.operate.readiness import NO_INTERFACE, Readiness, warnings_of_seen
from netboot.operate.running_daemon import DaemonStatus, ReloadResult, RescanResult
from netboot.operate.upload_imports import UploadImports
from netboot.registry.load import Configuration, WrittenFiles, read_written
from netboot.serve.net.interfaces import Interfaces
from netboot.settings.settings import REMOVED
from netboot.store.locks.exclusive import held_alone
from netboot.store.locks.file_lock import FileLock
from netboot.telemetry import logs
from netboot.telemetry.metrics import Metrics

log = structlog.get_logger()


async def serve(path: Path) -> None:
    """Run the daemon with the configuration at `path`; raise ConfigError or NetbootError if it cannot start."""
    signals = Signals()
    signals.listen()
    process.disable_core_files()
    process.raise_descriptor_limit()
    logs.configure(level="info", form="auto")
    try:
        written = read_written(path)
        logs.configure(level=written.settings.log.level, form=written.settings.log.format)
        await run(path, written, signals)
    except asyncio.CancelledError:
        if not signals.stopping.is_set():
            raise
    except NetbootError as error:
        log.error("daemon.failed", reason=str(error))
        notify_systemd(f"STATUS=failed: {str(error).splitlines()[0]}")
        raise
    log.info("daemon.stopped")


async def run(path: Path, written: WrittenFiles, signals: Signals, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Run the appliance that the files `written`, read from `path`, declare until a stop is signalled; as `serve`."""
    settings = written.settings
    socket = settings.admin.socket
    configured_by = path.resolve()  # noqa: ASYNC240 - before any machine is served
    owner = f"the daemon with pid {os.getpid()}, configuration {configured_by} and socket {socket}"
    async with AsyncExitStack() as stack:
        lock = held_alone(FileLock(socket), owner=owner, what=f"the control socket {socket} (admin.socket)")
        await stack.enter_async_context(lock)
        if await asyncio.to_thread(is_answered, socket):
            raise NetbootError(f"cannot start: another program answers on {socket}; stop it, or see admin.socket")
        metrics = Metrics()
        opening = open_store(settings, owner=owner, now=clock.now, sinks=[metrics.event_happened])
        store = await stack.enter_async_context(opening)
        configuration = await store.hosts.build(written)
        used = await store.hosts.at_start(configuration)
        registry, problems = await asyncio.to_thread(from_settings.registry_for, settings, used, now=clock.now)
        live = LiveRegistry(registry)
        seen = SeenMachines(await store.machines.all(), store=store.machines, hosts=live.hosts, clock=clock)
        daemon = Daemon(path, used, store, live, seen, metrics=metrics, clock=clock)
        await daemon.leases.load()
        await daemon.begin(configuration, problems)
        try:
            await daemon.run(signals)
        except ExceptionGroup as group:  # a TaskGroup ended: one fault is raised as one sentence
            if len(group.exceptions) == 1 and isinstance(group.exceptions[0], NetbootError):
                raise group.exceptions[0] from None
            raise


class Daemon:
    """The daemon that `serve` runs, as the API uses it."""

    def __init__(
        self,
        path: Path,
        configuration: Configuration,
        store: OpenStore,
        registry: LiveRegistry,
        seen: SeenMachines,
        *,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        settings, directory = configuration.settings, configuration.settings.content.directory
        self._path = path.absolute()
        self._settings, self._started_at, self._now = settings, clock.now(), clock.now
        self._store, self._registry, self._seen = store, registry, seen
        self._reloading, self._content_changed = asyncio.Lock(), asyncio.Event()
        self._content = ContentIndex(directory)
        self._install_moves = store.install_moves(settings, registry.hosts, clock.now)
        self._services = BootServices(
            registry,
            seen,
            install_moves=self._install_moves,
            machines=store.machines,
            inspections=store.inspection_records(registry.hosts, clock),
            served=store.served,
            content=self._content,
            events=store.events,
            clock=clock,
        )
        lease_policy = from_settings.lease_policy_for(settings)
        self.leases = LeaseService(lease_policy, store.leases, hosts=registry.hosts, events=store.events, clock=clock)
        self._administration = store.administration(
            self._path,
            settings,
            self._install_moves,
            self._services.inspection_records,
            hosts=registry.hosts,
            readiness=self._readiness,
            clock=clock,
            daemon=self,
        )
        self._uploads = UploadImports(Uploads(directory), self._import_command, events=store.events, now=clock.now)
        self._admin = AdminListener(settings.admin, self._admin_application(metrics), metrics=metrics)
        self._listeners = BootListeners(
            settings,
            self._services,
            leases=self.leases,
            content=self._content,
            metrics=metrics,
            on_problems=self._note_problems,
        )
        self._armed_content = ArmedContent(
            registry, self._install_moves, events=store.events, content=directory, now=clock.now
        )
        self._problems: list[str] = []
        self._content_fault: str | None = None
        self._rejected: tuple[str, ...] = ()  # faults of the files as they are now
        self._not_ready: tuple[str, ...] = ()  # missing files that they name
        self._in_force = configuration

    def _admin_application(self, metrics: Metrics) -> web.Application:
        admin = admin_application(self._administration, metrics, configuration=self._path.resolve())
        hosts_api, cluster_api = HostsApi(self._administration.host_changes), ClusterApi(self._administration)
        admin.add_routes([*UploadApi(self._uploads).routes(), *hosts_api.routes(), *cluster_api.routes()])
        return admin

    async def use(self, configuration: Configuration) -> list[HostName]:
        """Put this configuration in force, read first and replaced whole; return the hosts whose arming ended."""
        settings = from_settings.as_reloaded(self._settings, configuration.settings)
        registry, problems = await asyncio.to_thread(from_settings.registry_for, settings, configuration, now=self._now)
        await registry.documents.warm(registry.hosts)
        await self._replace_content(await asyncio.to_thread(self._content.read))
        self._registry.replace(registry)
        self._in_force = configuration
        return await self._take_up(problems)

    async def _take_up(self, problems: Sequence[Problem]) -> list[HostName]:
        """Report the problems of the registry in force; return the hosts whose arming it ends."""
        for unready in problems:
            log.error("config.not_ready", problem=str(unready))
        self._not_ready = tuple(map(str, problems))
        return await self._check_armings()

    def _readiness(self) -> Readiness:
        self._registry.renew_boot_files()
        settings = from_settings.as_reloaded(self._settings, self._in_force.settings)
        return from_settings.readiness_for(settings, self._registry.now)

    async def rescan_content(self, entry: EntryName | None) -> RescanResult:
        """Read the content directory, or one entry of it, again, but not the configuration."""
        async with self._reloading:
            trees = await asyncio.to_thread(self._content.read, entry)
            changed = {name for kind, name in trees if kind is EntryKind.RELEASE}
            documents = await self._registry.now.documents.renewed(self._registry.now.hosts, changed)
            await self._replace_content(trees)
            self._registry.replace(replace(self._registry.now, documents=documents))
            armings_ended = await self._check_armings()
        media, releases = self._content.names(EntryKind.MEDIUM), self._content.names(EntryKind.RELEASE)
        log.info("content.rescanned", media=len(media), releases=len(releases), armings_ended=armings_ended)
        return RescanResult(media, releases, list(self._content.problems), armings_ended)

    async def _replace_content(self, trees: Mapping[EntryName, Tree | None]) -> None:
        fault = await asyncio.to_thread(write_fault, self._content.directory)
        if fault is not None and fault != self._content_fault:
            log.warning("content.not_writable", reason=fault)
        self._content_fault = fault
        self._content.replace(trees)
        self._listeners.content_changed()
        for problem in self._content.problems:
            log.warning("content.left_out", reason=problem)
        self._content_changed.set()

    async def _check_armings(self) -> list[HostName]:
        """Return the hosts whose arming ended, because it no longer fits; report those that lack their content."""
        try:
            ended = await self._install_moves.end_changed_armings()
        except StoreError as error:  # each machine's script compares again, from the store
            log.error("install.armings_unchecked", reason=str(error))
            ended = []
        await self._armed_content.check()
        return ended

    async def begin(self, read: Configuration, problems: Sequence[Problem]) -> None:
        """Report what was `read` for the start, and end the armings that no longer fit; releases are read later."""
        self._warn(read)
        self._reject(read.faults)
        await self._replace_content(await asyncio.to_thread(self._content.read))
        await self._take_up(problems)
        await self._store.hosts.keep_accepted(read)

    async def _keep(self, rejected: Configuration) -> None:
        """Keep the hosts that were accepted last, and install none whose Ignition file is faulty now."""
        try:
            kept = await self._store.hosts.last_accepted(rejected, is_recording=True)
        except StoreError as error:
            log.error("config.not_kept", reason=str(error))
            return
        if kept is None:
            return  # none were accepted: the hosts of the start stay
        log.error("config.last_accepted_used", hosts=len(kept.hosts))
        await self.use(replace(kept, settings=self._in_force.settings))

    def _warn(self, configuration: Configuration) -> None:
        for warning in configuration.warnings:
            if warning.where in REMOVED:
                log.warning("config.setting_removed", problem=str(warning))
            else:
                log.warning("config.value_questioned", problem=str(warning))

    def _reject(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            log.error("config.rejected", problem=str(problem))
        self._rejected = tuple(map(str, problems))

    async def reload(self) -> ReloadResult:
        """Put the files in force as they are now; if they have faults, raise ConfigError and keep the previous ones."""
        async with self._reloading:  # of two at once, the one that read last must be applied last
            try:
                configuration = await self._store.hosts.read(self._path)
                self._warn(configuration)
                needs_restart = from_settings.needs_restart(self._settings, configuration.settings)
                if configuration.faults:
                    await self._keep(configuration)
                    raise ConfigError(configuration.faults)
                before = self._registry.now.hosts
                armings_ended = await self.use(configuration)
                removals = warn_of_removed(before, configuration.hosts, disarmed=armings_ended)
            except ConfigError as error:
                self._reject(error.problems)
                notify_systemd(f"STATUS=kept the old configuration: {error.problems[0]}")
                raise
            self._rejected = ()
            await self._store.hosts.keep_accepted(configuration)
        notify_systemd(f"STATUS={self._status_line()}")
        log.info("config.reloaded", hosts=len(configuration.hosts), needs_restart=needs_restart)
        warnings = [*map(str, configuration.warnings), *removals]
        return ReloadResult(len(configuration.hosts), needs_restart, armings_ended, self.problems(), warnings)

    def status(self) -> DaemonStatus:
        loaders = self._registry.now.policy.loaders
        return DaemonStatus(
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            hosts=len(self._registry.now.hosts),
            machines=len(self.discovered()),
            media=self._content.names(EntryKind.MEDIUM),
            releases=self._content.names(EntryKind.RELEASE),
            pulls=self.pulls(),
            problems=self.problems(),
            loaders={f"{protocol}/{cpu}": name for (protocol, cpu), name in loaders.items()},
            warnings=warnings_of_seen(self._registry.now.hosts, self._seen),
        )

    def problems(self) -> list[str]:
        """List what prevents serving machines as declared: faults of the files, problems of this appliance."""
        admin = [self._admin.problem] if self._admin.problem else []
        content = [self._content_fault] if self._content_fault else []
        unready = [*self._not_ready, *self._armed_content.problems()]
        return [*self._rejected, *unready, *self._listeners.problems(), *admin, *content]

    def pulls(self) -> list[str]:
        return self._services.files.pulls()

    def discovered(self) -> list[Machine]:
        return self._seen.unregistered()

    async def run(self, signals: Signals) -> None:
        """Open every listener, notify systemd, and serve until SIGTERM or SIGINT."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            running = self._behind_the_listeners(tasks)
            try:
                stack.push_async_callback(self._admin.close)
                await self._admin.open()
                # first, so that no follower keeps the stop waiting
                stack.callback(self._store.event_log.feed.end)
                await self._services.load()
                wanted = from_settings.wanted_interfaces(self._settings)
                interfaces = await stack.enter_async_context(Interfaces(wanted))
                await self._listeners.open(stack, interfaces, tasks)
                self._problems = self.problems()
                if not wanted:
                    log.error("daemon.serves_nobody", reason=NO_INTERFACE)
                gc.collect()
                gc.freeze()  # later collections do not walk the hosts; with 5,000 of them each took 50 ms
                notify_systemd("READY=1", f"STATUS={self._status_line()}")
                stack.push_async_callback(ended, tasks.create_task(self._keep_admin_open()))
                running.append(tasks.create_task(self._services.scripts.run()))
                log.info("daemon.started", version=__version__, hosts=len(self._registry.now.hosts), pid=os.getpid())
                signals.finish_start(lambda: tasks.create_task(self._reload_for_systemd()))
                await signals.stopping.wait()
                notify_systemd("STOPPING=1")
            finally:
                await stack.aclose()
                for task in running:
                    task.cancel()

    def _status_line(self) -> str:
        hosts = len(self._registry.now.hosts)
        served = f"serving {hosts} host{'s' if hosts != 1 else ''}"
        match self.problems():
            case []:
                return served
            case [problem]:
                return f"{served}; 1 problem: {problem}"
            case problems:
                return f"{served}; {len(problems)} problems, first: {problems[0]}"

    def _note_problems(self) -> None:
        problems = self.problems()
        if problems != self._problems:
            self._problems = problems
            notify_systemd(f"STATUS={self._status_line()}")

    async def _keep_admin_open(self) -> None:
        while True:
            await asyncio.sleep(RETRY_S)
            await self._admin.retry()

    def _behind_the_listeners(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start the tasks that write to the store later and those that work on content."""
        store = self._store
        works = [store.events.run(), store.event_log.run(), store.machines.run(), self._install_moves.run()]
        works += [self._uploads.run(), self._registry.follow_boot_files(), self._armed_content.run(self.rescan_content)]
        works.append(self.leases.run())
        if store.lock is not None:
            works.append(store.lock.watch())
        if self._settings.content.deltas:
            works.append(keep_deltas(Library(self._settings.content.directory), self._content_changed))
        return [tasks.create_task(work) for work in works]

    def _import_command(self, upload: Upload, data: str) -> list[str]:
        """Return the command that imports an upload, at low priority, in a process of its own."""
        verb = "import-iso" if upload.kind is UploadKind.ISO else "import-archive"
        name = ["--name", upload.name] if upload.name else []
        netboot = [sys.executable, "-m", "netboot", "--config", str(self._path)]
        return ["nice", "-n", "10", *netboot, "content", verb, data, *name, "--json"]

    async def _reload_for_systemd(self) -> None:
        notify_systemd("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            await self._administration.reload(actor=Actor("a process", Source.SIGNAL))
            status = self._status_line()
        except NetbootError as error:
            status = f"kept the old configuration: {str(error).splitlines()[0]}"
        except Exception:  # in the daemon's TaskGroup, which a fault must not end
            log.exception("config.reload_failed")
            status = "kept the old configuration: a fault of netboot's own, see the log"
        notify_systemd("READY=1", f"STATUS={status}")
