"""The running appliance: builds everything, runs it in one TaskGroup, reloads it, stops it."""

import asyncio
import gc
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from netboot import __version__
from netboot.app import from_settings, process
from netboot.app.administration.admin_listener import AdminListener
from netboot.app.administration.admin_parts import AdminParts
from netboot.app.administration.content_parts import content_administration
from netboot.app.administration.rack_parts import rack_overview
from netboot.app.appliance_health import ApplianceHealth
from netboot.app.armed_content import ArmedContent
from netboot.app.boot_services import BootServices, RecordWriters
from netboot.app.configuration_in_force import ConfigurationInForce
from netboot.app.gauge_readings import GaugeReadings
from netboot.app.listeners import BootListeners, ended
from netboot.app.process import Signals, notify_systemd
from netboot.app.store_access import OpenStore, open_store
from netboot.app.support.support_archives import RunningParts, SupportArchives
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.boot_causes import BootCauses
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.content.library.library import Library
from netboot.content.ostree.deltas import keep_deltas
from netboot.content.serving.index import ContentIndex
from netboot.control_socket import is_answered
from netboot.errors import ConfigError, NetbootError, Problem
from netboot.leasing.lease_service import LeaseService
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.clock import SYSTEM_CLOCK, Clock
from netboot.model.host.mac import Mac
from netboot.model.release import EntryKind, EntryName
from netboot.operate.hooks.hook_service import HookService
from netboot.operate.readiness import NO_INTERFACE, warnings_of_seen
from netboot.operate.running_daemon import DaemonStatus, DiskUse, ReloadResult, RescanResult
from netboot.registry.load import Configuration, WrittenFiles, read_written
from netboot.serve.net.interfaces import Interfaces
from netboot.store.locks.exclusive import held_alone
from netboot.store.locks.file_lock import FileLock
from netboot.telemetry import logs
from netboot.telemetry.health import HealthPart
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
        opening = open_store(settings, owner=owner, now=clock.now, metrics=metrics)
        store = await stack.enter_async_context(opening)
        configuration = await store.hosts.build(written)
        used = await store.hosts.at_start(configuration)
        registry, problems = await asyncio.to_thread(from_settings.registry_for, settings, used, now=clock.now)
        live = LiveRegistry(registry)
        recorded, recorder = await store.machines.all(), store.boot_recorder
        seen = SeenMachines(recorded, store=store.machines, recorder=recorder, hosts=live.hosts, clock=clock)
        await recorder.load(clock.now())
        await store.durations.load_once()
        seen.resume()
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
        self._path, self._settings, self._started_at = path.absolute(), settings, clock.now()
        self._store, self._registry, self._seen = store, registry, seen
        self._content_changed = asyncio.Event()
        self._content = ContentIndex(directory)
        self._install_moves = store.install_moves(settings, registry.hosts, clock.now)
        self._records = from_settings.record_writer_for(settings, metrics, store.database.size_bytes, now=clock.now)
        self._services = self._boot_services(clock)
        lease_policy = from_settings.lease_policy_for(settings)
        self.leases = LeaseService(lease_policy, store.leases, hosts=registry.hosts, events=store.events, clock=clock)
        self._armed_content = ArmedContent(
            registry, self._install_moves, events=store.events, content=directory, now=clock.now
        )
        self._in_force = ConfigurationInForce(
            self._path,
            settings,
            configuration,
            registry,
            self._content,
            hosts=store.hosts,
            install_moves=self._install_moves,
            inspections=self._services.inspections,
            armed_content=self._armed_content,
            now=clock.now,
            on_content=self._content_replaced,
        )
        self._administration = store.administration(
            self._path,
            settings,
            self._install_moves,
            self._services.inspection_records,
            hosts=registry.hosts,
            readiness=self._in_force.readiness,
            clock=clock,
            record_writer=self._records,
            daemon=self,
        )
        self._hooks = HookService(store.outbox, store.deliveries, events=store.events, metrics=metrics, clock=clock)
        self._hook_uses = store.hook_uses(clock.now)
        self._overdue_watch = store.overdue_watch(self._boot_causes(clock), registry.hosts, clock)
        self._content_work = content_administration(
            self._path, settings, self._administration, self, events=store.events, hosts=registry.hosts, now=clock.now
        )
        self._health = ApplianceHealth(store.database, directory, known=self._parts)
        self._listeners = self._boot_listeners(metrics)
        self._updates = store.updates(settings, self._install_moves, self._listeners.base_urls)
        self._admin = self._admin_listener(metrics, clock)
        self._problems, self._is_stopping = list[str](), False
        metrics.read_gauges(self._gauge_readings().read)

    def _boot_services(self, clock: Clock) -> BootServices:
        store = self._store
        return BootServices(
            self._registry,
            self._seen,
            install_moves=self._install_moves,
            machines=store.machines,
            inspections=store.inspection_records(self._registry.hosts, clock),
            served=store.served,
            nodes=store.nodes,
            content=self._content,
            events=store.events,
            clock=clock,
            writers=RecordWriters(
                self._records if self._settings.logs.port else None,
                self._records if self._settings.records.captures else None,
            ),
        )

    def _boot_listeners(self, metrics: Metrics) -> BootListeners:
        return BootListeners(
            self._settings,
            self._services,
            leases=self.leases,
            content=self._content,
            metrics=metrics,
            health=self._health.check,
            on_problems=self._note_problems,
        )

    def _gauge_readings(self) -> GaugeReadings:
        return GaugeReadings(
            self._store,
            self._install_moves,
            self._seen,
            self._content_work.uploads,
            self._hooks,
            problems=self.problems,
            is_rejected=lambda: self._in_force.is_rejected,
            others=(
                self._listeners.readings,
                self._armed_content.readings,
                self._overdue_watch.readings,
                self._admin.readings,
                self._updates.readings,
            ),
        )

    def _parts(self) -> list[HealthPart]:
        """List the parts whose state is in memory."""
        stop = HealthPart.of("daemon", "it is stopping" if self._is_stopping else None)
        return [stop, *self._in_force.parts(), *self._listeners.parts(), *self._admin.parts()]

    def _admin_listener(self, metrics: Metrics, clock: Clock) -> AdminListener:
        administration = self._administration
        running = RunningParts(administration.status, self._health.check, metrics.exposition)
        support = SupportArchives(self._path, self._store.stored_data(administration), self._hook_uses, running=running)
        parts = AdminParts(
            administration,
            metrics,
            content=self._content_work,
            hooks=self._hook_uses,
            check_health=self._health.check,
            make_support=support.make,
            now=clock.now,
            registry=self._registry,
            base_url=self._listeners.base_url,
            throughput=self._listeners.throughput,
            activity=self._store.activity(),
            settings=self._settings,
            settings_in_force=self._in_force.settings,
            access=self._store.access(clock, metrics),
            updates=self._updates,
            rack=rack_overview(self._store, administration, self._services, seen=self._seen, daemon=self),
        )
        return parts.listener(configuration=self._path.resolve())

    async def begin(self, read: Configuration, problems: Sequence[Problem]) -> None:
        await self._in_force.begin(read, problems)

    async def reload(self) -> ReloadResult:
        try:
            result = await self._in_force.reload()
        except ConfigError as error:
            notify_systemd(f"STATUS=kept the old configuration: {error.problems[0]}")
            raise
        self._hooks.use([each.hook() for each in self._in_force.served.settings.hooks])
        notify_systemd(f"STATUS={self._status_line()}")
        return replace(result, problems=self.problems())

    async def rescan_content(self, entry: EntryName | None) -> RescanResult:
        return await self._in_force.rescan_content(entry)

    def _content_replaced(self) -> None:
        self._listeners.content_changed()
        self._content_changed.set()

    def status(self) -> DaemonStatus:
        now = self._registry.now
        return DaemonStatus(
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            hosts=len(now.hosts),
            machines=len(self.discovered()),
            media=self._content.names(EntryKind.MEDIUM),
            releases=self._content.names(EntryKind.RELEASE),
            pulls=self.pulls(),
            image_pulls=self.image_pulls(),
            problems=self.problems(),
            loaders={f"{protocol}/{cpu}": name for (protocol, cpu), name in now.policy.loaders.items()},
            warnings=[*warnings_of_seen(now.hosts, self._seen), *self._admin.warnings, *self._listeners.warnings()],
            other_servers=self._services.other_servers.current(),
            unobserved=self._listeners.unobserved(),
            records=DiskUse.of(self._records.budget) if self._records is not None else None,
        )

    def problems(self) -> list[str]:
        """List what prevents serving machines as declared: faults of the files, problems of this appliance."""
        records = [self._records.problem] if self._records and self._records.problem else []
        return [*self._in_force.problems(), *self._listeners.problems(), *self._admin.problems, *records]

    def _boot_causes(self, clock: Clock) -> BootCauses:
        return BootCauses(
            self._store.event_log,
            install_of=self._install_moves.known,
            machine_of=self._seen.machine_of,
            unserved=self.unserved,
            now=clock.now,
        )

    def unserved(self) -> list[str]:
        return self._listeners.unserved()

    def pulls(self) -> list[str]:
        return self._services.files.pulls()

    def image_pulls(self) -> list[str]:
        return self._content.images.pulled()

    def boot_progress(self, mac: Mac) -> BootProgress | None:
        return self._services.files.progress(mac)

    def discovered(self) -> list[Machine]:
        return self._seen.unregistered()

    async def run(self, signals: Signals) -> None:
        """Open every listener, notify systemd, and serve until SIGTERM or SIGINT."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            running = self._behind_the_listeners(tasks)
            try:
                stack.push_async_callback(self._health.close)
                stack.push_async_callback(self._admin.close)
                await self._admin.open()
                # first, so that no follower keeps the stop waiting
                stack.callback(self._store.event_log.feed.end)
                if self._records is not None:
                    stack.push_async_callback(self._records.close)
                    stack.callback(self._records.end)
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
                stack.push_async_callback(ended, tasks.create_task(self._admin.run()))
                running.append(tasks.create_task(self._services.scripts.run()))
                log.info("daemon.started", version=__version__, hosts=len(self._registry.now.hosts), pid=os.getpid())
                signals.finish_start(lambda: tasks.create_task(self._reload_for_systemd()))
                await signals.stopping.wait()
                self._is_stopping = True
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
        if (problems := self.problems()) != self._problems:
            self._problems = problems
            notify_systemd(f"STATUS={self._status_line()}")

    def _behind_the_listeners(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start the tasks that write to the store later and those that work on content."""
        store = self._store
        works = [store.events.run(), store.event_log.run(), store.machines.run(), store.boots.run()]
        works += [self._content_work.run(), self._registry.follow_boot_files(), self._install_moves.run()]
        works += [self.leases.run(), self._hooks.run(), self._overdue_watch.run(), self._updates.run()]
        works += [self._armed_content.run(self.rescan_content)]
        if self._records is not None:
            works.append(self._records.run())
        if store.lock is not None:
            works.append(store.lock.watch())
        if self._settings.content.deltas:
            works.append(keep_deltas(Library(self._settings.content.directory), self._content_changed))
        return [tasks.create_task(work) for work in works]

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
