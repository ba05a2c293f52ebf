"""The running appliance: builds its parts and reloads it; `operate` and the API use it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from netboot.app import from_settings
from netboot.app.administration.admin_listener import AdminListener
from netboot.app.administration.admin_parts import AdminParts
from netboot.app.administration.content_parts import content_administration
from netboot.app.administration.rack_parts import overdue_watch, rack_overview
from netboot.app.administration.rollout_parts import rollouts_of
from netboot.app.appliance_health import ApplianceHealth
from netboot.app.appliances.known_appliances import OnLan, appliances_of
from netboot.app.appliances.shared_changes import SharedChanges
from netboot.app.armed_content import ArmedContent
from netboot.app.boot_services import BootServices, RecordWriters
from netboot.app.configuration_in_force import ConfigurationInForce
from netboot.app.daemon.daemon_report import DaemonReport
from netboot.app.daemon.daemon_run import DaemonRun
from netboot.app.gauge_readings import GaugeReadings
from netboot.app.health.descriptor_shortage import DescriptorShortage
from netboot.app.health.fault_watch import FaultWatch
from netboot.app.listeners import BootListeners
from netboot.app.power.power_parts import bmcs_of, power_requests
from netboot.app.running.process import Signals
from netboot.app.running.systemd_status import SystemdStatus
from netboot.app.running.watchdog import Watchdog
from netboot.app.store_access import OpenStore
from netboot.app.support.support_archives import RunningParts, SupportArchives
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.content.library.library import Library
from netboot.content.ostree.deltas import keep_deltas
from netboot.content.serving.index import ContentIndex
from netboot.errors import ConfigError, DescriptorsError, Problem
from netboot.leasing.lease_service import LeaseService
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.causes.cause import Shortage
from netboot.model.clock import Clock
from netboot.model.host.mac import Mac
from netboot.model.release import EntryName
from netboot.operate.administration import Administration
from netboot.operate.content.content_administration import ContentAdministration
from netboot.operate.hooks.hook_service import HookService
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.running_daemon import DaemonStatus, ReloadResult, RescanResult
from netboot.registry.load import Configuration
from netboot.store.changes.notification import Changed
from netboot.telemetry.metrics import Metrics

log = structlog.get_logger()


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
        self._store, self._registry, self._seen, self._access = store, registry, seen, store.access(clock, metrics)
        self._systemd = SystemdStatus(hosts=lambda: len(registry.now.hosts), problems=self.problems)
        self._content, self._content_changed = ContentIndex(directory), asyncio.Event()
        self._appliances = appliances_of(store, settings, registry.hosts, on_lan=self._on_lan, clock=clock)
        self._install_moves = store.install_moves(settings, registry.hosts, clock.now, self._appliances.agree)
        self._records = from_settings.record_writer_for(settings, metrics, store.database.size_bytes, now=clock.now)
        self._services = self._boot_services(clock)
        lease_policy = from_settings.lease_policy_for(settings)
        self.leases = LeaseService(lease_policy, store.leases, hosts=registry.hosts, events=store.events, clock=clock)
        store.changes.follow(Changed.LEASE, self.leases.read_changed)
        store.changes.follow(Changed.MACHINE, seen.read_changed)
        moves, self._power = self._install_moves, self._power_requests(metrics, clock)
        self._armed_content = ArmedContent(registry, moves, events=store.events, content=directory, now=clock.now)
        self._in_force = self._configuration_in_force(configuration, clock)
        self._administration = self._operators_uses(clock)
        self._rollouts = rollouts_of(store, settings.cluster, self._administration, registry, metrics, clock=clock)
        self._shared, self._hook_uses = self._shared_changes(), store.hook_uses(clock.now)
        self._hooks = HookService(store.outbox, store.deliveries, events=store.events, metrics=metrics, clock=clock)
        self._overdue_watch = overdue_watch(store, self._services, seen, daemon=self)
        self._content_work = self._content_administration(clock)
        self._health, self._shortage = self._appliance_health(metrics, clock)
        self._fault_watch = FaultWatch(self._shortage.check, store.events, on_change=self._systemd.note_problems)
        self._listeners = self._boot_listeners(metrics)
        self._updates = store.updates(settings, self._install_moves, self._listeners.base_urls)
        self._admin, self._watchdog = self._admin_listener(metrics, clock), self._verified_listeners()
        self._report, self._run = self._daemon_report(), self._daemon_run()
        metrics.read_gauges(self._gauge_readings().read)

    def _operators_uses(self, clock: Clock) -> Administration:
        return self._store.administration(
            self._path,
            self._settings,
            self._install_moves,
            self._services.inspection_records,
            hosts=self._registry.hosts,
            readiness=self._in_force.readiness,
            clock=clock,
            record_writer=self._records,
            daemon=self,
            power=self._power,
        )

    def _content_administration(self, clock: Clock) -> ContentAdministration:
        return content_administration(
            self._path,
            self._settings,
            self._administration,
            self,
            events=self._store.events,
            hosts=self._registry.hosts,
            now=clock.now,
            withheld=self._content.withheld,
            content_changed=self._content_changed,
        )

    def _appliance_health(self, metrics: Metrics, clock: Clock) -> tuple[ApplianceHealth, DescriptorShortage]:
        written, content = self._in_force.written(), self._settings.content.directory
        health = ApplianceHealth(
            self._store.database, content, *written, self._rollouts.programs, known=lambda: self._report.parts()
        )
        return health, DescriptorShortage(health.check, metrics, now=clock.now)

    def _configuration_in_force(self, configuration: Configuration, clock: Clock) -> ConfigurationInForce:
        return ConfigurationInForce(
            self._path,
            configuration.settings,
            configuration,
            self._registry,
            self._content,
            hosts=self._store.hosts,
            install_moves=self._install_moves,
            inspections=self._services.inspections,
            armed_content=self._armed_content,
            appliances=self._appliances,
            now=clock.now,
            on_content=self._content_replaced,
        )

    def _power_requests(self, metrics: Metrics, clock: Clock) -> PowerRequests:
        return power_requests(
            self._store,
            bmcs_of(self._settings.bmc, self._path.parent),
            self._install_moves,
            self._registry,
            seen=self._seen,
            appliances=self._appliances,
            lans=lambda: self._listeners.lans(),
            metrics=metrics,
            clock=clock,
        )

    def _on_lan(self) -> OnLan:
        return self._listeners.on_lan()

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
            gate=store.join_gate,
            content=self._content,
            events=store.events,
            clock=clock,
            is_shared=store.database.is_shared,
            writers=RecordWriters(
                self._records if self._settings.logs.port else None,
                self._records if self._settings.records.captures else None,
            ),
        )

    def _shared_changes(self) -> SharedChanges:
        return SharedChanges(
            self._store,
            install_moves=self._install_moves,
            inspections=self._services.inspection_records,
            access=self._access,
            appliances=self._appliances,
            registry=self._registry,
        )

    def _verified_listeners(self) -> Watchdog:
        return Watchdog(
            lambda: [*self._admin.endpoints(), *self._listeners.endpoints()],
            self._listeners.unread,
            on_problems=self._systemd.note_problems,
        )

    def _boot_listeners(self, metrics: Metrics) -> BootListeners:
        return BootListeners(
            self._settings,
            self._services,
            leases=self.leases,
            content=self._content,
            metrics=metrics,
            health=self._health.check,
            on_problems=self._systemd.note_problems,
            appliances=self._appliances.addresses,
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
                self._content_work.scrubbing.readings,
                self._appliances.readings,
                self._power.readings,
            ),
        )

    def _daemon_report(self) -> DaemonReport:
        return DaemonReport(
            self._registry,
            self._seen,
            self._store,
            started_at=self._started_at,
            is_stopping=lambda: self._run.is_stopping,
            in_force=self._in_force,
            services=self._services,
            content=self._content,
            content_work=self._content_work,
            listeners=self._listeners,
            admin=self._admin,
            appliances=self._appliances,
            watchdog=self._watchdog,
            fault_watch=self._fault_watch,
            power=self._power,
            records=self._records,
        )

    def _daemon_run(self) -> DaemonRun:
        return DaemonRun(
            self._settings,
            self._store,
            self._services,
            self._records,
            self._listeners,
            self._admin,
            appliances=self._appliances,
            health=self._health,
            watchdog=self._watchdog,
            systemd=self._systemd,
            works=self._works(),
            reload=self._reload_by_signal,
            host_count=lambda: len(self._registry.now.hosts),
        )

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
            access=self._access,
            updates=self._updates,
            rollouts=self._rollouts.uses,
            store_events=self._store.store_events,
            rack=rack_overview(self._store, administration, self._services, seen=self._seen, daemon=self),
        )
        return parts.listener(configuration=self._path.resolve())

    async def begin(self, read: Configuration, problems: Sequence[Problem]) -> None:
        await self._in_force.begin(read, problems)

    async def reload(self) -> ReloadResult:
        try:
            result = await self._in_force.reload()
        except (ConfigError, DescriptorsError) as error:
            self._systemd.send_refusal(str(error).splitlines()[0])
            raise
        self._hooks.use([each.hook() for each in self._in_force.served.settings.hooks])
        self._systemd.send_status()
        return replace(result, problems=self.problems())

    async def _reload_by_signal(self) -> None:
        await self._administration.reload(actor=Actor("a process", Source.SIGNAL))

    async def rescan_content(self, entry: EntryName | None) -> RescanResult:
        return await self._in_force.rescan_content(entry)

    def _content_replaced(self) -> None:
        self._listeners.content_changed()
        self._content_work.scrubbing.content_changed()
        self._content_changed.set()

    def status(self) -> DaemonStatus:
        return self._report.status()

    def problems(self) -> list[str]:
        return self._report.problems()

    def unserved(self) -> list[str]:
        return self._listeners.unserved()

    def shortage(self) -> Shortage | None:
        return self._shortage.last()

    def pulls(self) -> list[str]:
        return self._services.files.pulls()

    def image_pulls(self) -> list[str]:
        return self._content.images.pulled()

    def boot_progress(self, mac: Mac) -> BootProgress | None:
        return self._services.files.progress(mac)

    def discovered(self) -> list[Machine]:
        return self._seen.unregistered()

    async def run(self, signals: Signals) -> None:
        """Serve until SIGTERM or SIGINT."""
        await self._run.run(signals)

    def _works(self) -> list[Callable[[], Awaitable[None]]]:
        """List what writes to the store later and what works on content."""
        works: list[Callable[[], Awaitable[None]]] = [*self._store.works(), self._shared.run, self._appliances.run]
        works += [self._services.node_watch.run, self._content_work.run, self._registry.follow_boot_files]
        works += [self._install_moves.run, self.leases.run, self._hooks.run, self._overdue_watch.run]
        works += [self._updates.run, self._power.run]
        works += [partial(self._armed_content.run, self.rescan_content), self._fault_watch.run]
        works += [self._rollouts.runner.run, partial(self._in_force.repeat_unread, self.reload)]
        if self._records is not None:
            works.append(self._records.run)
        if self._settings.content.deltas:
            works.append(partial(keep_deltas, Library(self._settings.content.directory), self._content_changed))
        return works
