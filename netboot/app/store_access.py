"""Opens the store and the administration on it, for the daemon or for a command."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from netboot.app.hosts_in_force import HostsInForce
from netboot.boot.documents.join_gate import JoinGate
from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.boot.sessions.learned_durations import LearnedDurations
from netboot.boot_records.kept_records import KeptRecords
from netboot.boot_records.record_files import RecordFiles
from netboot.boot_records.record_writer import RecordWriter
from netboot.content.ostree.repository import commit_named
from netboot.errors import ConfigError, Problem, StoreError
from netboot.events.activity import ActivityLog
from netboot.events.event_bus import EventBus, Sink
from netboot.events.event_log import EventLog
from netboot.events.newest_events import NewestEvents
from netboot.model import urls
from netboot.model.actor import Actor, Source
from netboot.model.clock import SYSTEM_CLOCK, Clock, utc_now
from netboot.model.host.host import HostSet
from netboot.model.install.token import TokenKind
from netboot.operate.access.access_uses import AccessUses
from netboot.operate.administration import Administration
from netboot.operate.audit import audited
from netboot.operate.boots.boot_waits import BootWaits
from netboot.operate.cluster.role_file_uses import Contents, RoleFileUses
from netboot.operate.content_uses import ContentUse, content_uses
from netboot.operate.hooks.delivery_queue import DeliveryQueue
from netboot.operate.hooks.hook_outbox import HookOutbox
from netboot.operate.hooks.hook_uses import HookUses
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.running_daemon import RunningDaemon
from netboot.operate.support.stored_parts import StoredData
from netboot.operate.updates.updates import UpdateRules, Updates
from netboot.registry.load import Configuration, read
from netboot.registry.writing.host_writer import HostWriter
from netboot.settings.settings import Settings
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.access.account_store import AccountStore
from netboot.store.allocations import Allocations
from netboot.store.boots.boot_store import Boots
from netboot.store.changes.change_feed import ChangeFeed
from netboot.store.database import Database
from netboot.store.inspections import Inspections
from netboot.store.installs import Installs
from netboot.store.leases import LeaseStore
from netboot.store.locks.advisory_lock import AdvisoryLock
from netboot.store.locks.exclusive import HeldError, Lock, held_alone, held_shared, held_together, lock_of_store
from netboot.store.locks.file_lock import FileLock
from netboot.store.machines import Machines
from netboot.store.nodes.installed_nodes import Nodes
from netboot.store.read_only_check import read_allocations
from netboot.store.rollouts.rollout_store import Rollouts
from netboot.store.served_documents import ServedDocuments
from netboot.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from netboot.operate.readiness import Readiness


@dataclass(frozen=True, slots=True)
class OpenStore:
    installs: Installs
    event_log: EventLog
    events: EventBus
    machines: Machines
    boots: Boots
    boot_recorder: BootRecorder
    durations: LearnedDurations
    leases: LeaseStore
    hosts: HostsInForce
    allocations: Allocations
    served: ServedDocuments
    nodes: Nodes
    inspections: Inspections
    database: Database
    outbox: HookOutbox
    deliveries: DeliveryQueue
    newest_events: NewestEvents
    rollouts: Rollouts
    join_gate: JoinGate
    changes: ChangeFeed
    lock: Lock | None = None

    def works(self) -> list[Callable[[], Coroutine[None, None, None]]]:
        """Return what a daemon runs: it follows the changes of others, and writes its own later."""
        return [self.changes.run, self.events.run, self.event_log.run, self.machines.run, self.boots.run]

    async def keep_lock(self) -> None:
        """Keep the lock until cancelled; raise LockLostError if the store is no longer this daemon's to use."""
        if self.lock is not None:
            await self.lock.watch(self.database.is_current)

    def store_events(self) -> asyncio.Future[bool]:
        """Begin to write the events that wait; False: the store does not accept them."""
        return self.database.begin(self.event_log.flush())

    def install_moves(
        self,
        settings: Settings,
        hosts: Callable[[], HostSet],
        now: Callable[[], datetime],
        may_end: Callable[[], bool] = lambda: True,
    ) -> InstallMoves:
        """Build the changes of installs, compared with the hosts in force."""
        commit_of = partial(commit_named, settings.content.directory)
        return InstallMoves(self.installs, self.events, hosts=hosts, commit_of=commit_of, now=now, may_end=may_end)

    def inspection_records(self, hosts: Callable[[], HostSet], clock: Clock) -> InspectionRecords:
        return InspectionRecords(self.inspections, hosts=hosts, now=clock.now, random_bytes=clock.random_bytes)

    def access(self, clock: Clock = SYSTEM_CLOCK, metrics: Metrics | None = None) -> AccessUses:
        """Build the use cases of users, API tokens and logins."""
        user = Actor(f"uid {os.getuid()}", Source.COMMAND)
        return AccessUses.of(
            AccountStore(self.database), self.events, user=user, clock=clock, metrics=metrics or Metrics()
        )

    def updates(
        self, settings: Settings, install_moves: InstallMoves, base_urls: Callable[[], Sequence[str]]
    ) -> Updates:
        """Build the board of updates; `base_urls` are those of this server that nodes on each interface get."""

        def rules() -> UpdateRules:
            addresses = [urls.registry_address(each, settings.registry.tls_port) for each in base_urls()]
            return UpdateRules(settings.updates.registry, settings.updates.report, addresses)

        moves = install_moves
        return Updates(moves, self.nodes, settings.content.directory, hosts=moves.hosts, rules=rules, now=moves.now)

    def activity(self) -> ActivityLog:
        """Return what reads the events that match a filter."""
        return ActivityLog(self.database)

    def hook_uses(self, now: Callable[[], datetime]) -> HookUses:
        return HookUses(self.outbox, self.deliveries, now=now)

    def administration(
        self,
        path: Path,
        settings: Settings,
        install_moves: InstallMoves,
        inspections: InspectionRecords,
        *,
        hosts: Callable[[], HostSet],
        readiness: "Callable[[], Readiness]",
        clock: Clock = SYSTEM_CLOCK,
        record_writer: RecordWriter | None = None,
        daemon: RunningDaemon | None = None,
        power: PowerRequests | None = None,
        are_complete: bool = True,
    ) -> Administration:
        """Build the use cases of an operator, for the configuration at `path`."""
        return Administration(
            install_moves,
            self.events,
            event_log=self.event_log,
            machines=self.machines,
            allocations=self.allocations,
            served=self.served,
            boot_waits=BootWaits(self.boots, self.durations, clock.now),
            boot_recorder=self.boot_recorder,
            inspections=inspections,
            hosts=hosts,
            host_files=host_writer(path, settings),
            readiness=readiness,
            role_files=_role_file_uses(path, settings, hosts, clock),
            attempts=settings.install.attempts,
            now=clock.now,
            records=KeptRecords(RecordFiles(settings.records.directory), record_writer, bool(settings.logs.port)),
            daemon=daemon,
            power=power,
            bmc_credentials=path.absolute().parent / settings.bmc.credentials,
            are_complete=are_complete,
        )

    def stored_data(self, administration: Administration) -> StoredData:
        """Return what a support archive has of the store."""

        async def tokens() -> list[str]:
            installs = [each.tokens.of(kind) for each in await self.installs.readable(None) for kind in TokenKind]
            return [token for token in [*installs, *(each.token for each in await self.inspections.all())] if token]

        return StoredData(administration, self.event_log, tokens)


@asynccontextmanager
async def open_store(
    settings: Settings,
    *,
    owner: str,
    now: Callable[[], datetime] = utc_now,
    metrics: Metrics | None = None,
) -> AsyncIterator[OpenStore]:
    """Open the store of the settings for the daemon `owner`, a SQLite file for it alone; raise StoreError.

    `metrics` count events, measure the steps of boots and the transactions.
    """
    async with AsyncExitStack() as stack:
        lock = lock_of_store(settings.store.url)
        if isinstance(lock, FileLock):
            await stack.enter_async_context(held_alone(lock, owner=owner, what="the store (store.url)"))
        opened = _opened(settings, lock=lock, work="cannot start", now=now, metrics=metrics)
        yield await stack.enter_async_context(opened)


@asynccontextmanager
async def offline_administration(
    configuration: Configuration, *, needs_hosts: bool = True
) -> AsyncIterator[Administration]:
    """Open the administration on the store if no daemon runs; raise StoreError if one does.

    If hosts files have faults, those that were accepted last are used. If none were, raises ConfigError, or without
    `needs_hosts` uses only the hosts without a fault. A PostgreSQL store may have daemons on other computers, which
    learn of the changes.
    """
    async with _offline_store(configuration.settings) as store:
        yield await _offline_uses(store, configuration, needs_hosts=needs_hosts)


@asynccontextmanager
async def offline_stored_data(configuration: Configuration) -> AsyncIterator[tuple[StoredData, HookUses]]:
    """Open what a support archive has of the store, and the hooks, if no daemon runs; raise StoreError if one does."""
    async with _offline_store(configuration.settings) as store:
        administration = await _offline_uses(store, configuration, needs_hosts=False)
        yield store.stored_data(administration), store.hook_uses(utc_now)


@asynccontextmanager
async def offline_updates(configuration: Configuration, base_urls: Sequence[str]) -> AsyncIterator[Updates]:
    """Open the board of updates, if no daemon runs; raise StoreError if one does. Hosts as `offline_administration`."""
    settings = configuration.settings
    async with _offline_store(settings) as store:
        used = await _used(store, configuration)
        if used is None:
            raise ConfigError(configuration.faults)
        yield store.updates(settings, store.install_moves(settings, lambda: used.hosts, utc_now), lambda: base_urls)


async def _used(store: OpenStore, configuration: Configuration) -> Configuration | None:
    """Return the configuration, or if it has faults that of the hosts accepted last; None if there is none."""
    return await store.hosts.last_accepted(configuration) if configuration.faults else configuration


async def _offline_uses(store: OpenStore, configuration: Configuration, *, needs_hosts: bool) -> Administration:
    kept = await _used(store, configuration)
    if kept is None and needs_hosts:
        raise ConfigError(configuration.faults)
    used = kept or configuration
    return store.administration(
        configuration.files[0],
        configuration.settings,
        store.install_moves(configuration.settings, lambda: used.hosts, utc_now),
        store.inspection_records(lambda: used.hosts, SYSTEM_CLOCK),
        hosts=lambda: used.hosts,
        readiness=lambda: _readiness(used),
        are_complete=kept is not None,
    )


async def offline_content_uses(settings: Settings) -> list[ContentUse]:
    """List the content that armed and running installs use, from the store, if no daemon runs; raise StoreError.

    Does not read the hosts files, which may have faults.
    """
    async with _offline_store(settings) as store:
        installs = {install.host: install for install in await store.installs.all()}
        return content_uses((), installs, pulls=(), now=utc_now())


@asynccontextmanager
async def offline_access(settings: Settings) -> AsyncIterator[AccessUses]:
    """Open users and API tokens, if no daemon runs; raise StoreError if one does."""
    async with _offline_store(settings) as store:
        yield store.access()


@asynccontextmanager
async def offline_hooks(settings: Settings) -> AsyncIterator[HookUses]:
    """Open the hooks of the settings, if no daemon runs; raise StoreError if one does."""
    async with _offline_store(settings) as store:
        yield store.hook_uses(utc_now)


async def record_content_change(settings: Settings, change: str) -> None:
    """Record among the events that a command of this user changed the content, if no daemon runs; raise StoreError."""
    async with _offline_store(settings) as store:
        actor = Actor(f"uid {os.getuid()}", Source.COMMAND)
        with audited(store.events, "change content", actor, subject=change):
            pass


@asynccontextmanager
async def _offline_store(settings: Settings) -> AsyncIterator[OpenStore]:
    async with AsyncExitStack() as stack:
        lock = lock_of_store(settings.store.url)
        if isinstance(lock, FileLock):
            try:
                await stack.enter_async_context(held_together(lock))
            except HeldError as error:
                raise StoreError(
                    f"{error.owner} works on the store and does not answer on {settings.admin.socket}; "
                    "see journalctl -u netboot; if it hangs: systemctl restart netboot"
                ) from None
        yield await stack.enter_async_context(_opened(settings, lock=lock, work="cannot use the store"))


@asynccontextmanager
async def _opened(
    settings: Settings,
    *,
    lock: Lock | None,
    work: str,
    now: Callable[[], datetime] = utc_now,
    metrics: Metrics | None = None,
) -> AsyncIterator[OpenStore]:
    """Open the store, whose lock is held if it is a file, or is taken here; `work` is what cannot be done without."""
    async with AsyncExitStack() as stack:
        record_use = metrics.store_used if metrics is not None else None
        database = Database.connect(settings.store.url, key_file=settings.store.key_file, record_use=record_use)
        stack.push_async_callback(database.close)
        if isinstance(lock, AdvisoryLock):
            shared = held_shared(lock, what=work, is_current=database.is_current, migrate=database.migrate)
            await stack.enter_async_context(shared)
            stack.push_async_callback(database.close)  # before the lock is released
        elif not await database.is_current():
            await database.migrate()
        await database.read_key()
        hooks, public_url = [each.hook() for each in settings.hooks], settings.admin.public_url
        outbox = HookOutbox(hooks, appliance=socket.gethostname(), public_url=public_url)
        event_log, machines, boots = EventLog(database, outbox=outbox), Machines(database), Boots(database)
        durations = LearnedDurations(boots)
        measured = [durations.step_measured, *([metrics.step_measured] if metrics is not None else [])]
        recorder = BootRecorder(boots, on_measured=measured)
        on_noted = metrics.change_noted if metrics is not None else lambda _by: None
        sinks: list[Sink] = [metrics.event_happened] if metrics is not None else []
        newest_events = NewestEvents(event_log)
        sinks += [recorder.event_happened, newest_events.event_happened]
        events = EventBus(event_log, now=now, sinks=sinks)
        stack.push_async_callback(events.close)
        stack.push_async_callback(machines.close)
        stack.push_async_callback(boots.close)
        stack.push_async_callback(database.finished)  # first: the writes of cancelled callers, with their events
        allocations, served, nodes = Allocations(database), ServedDocuments(database), Nodes(database)
        yield OpenStore(
            Installs(database),
            event_log,
            events,
            machines,
            boots,
            recorder,
            durations,
            LeaseStore(database),
            HostsInForce(AcceptedFiles(database), allocations, served, nodes, now=now),
            allocations,
            served,
            nodes,
            Inspections(database),
            database,
            outbox,
            DeliveryQueue(database),
            newest_events,
            rollouts := Rollouts(database),
            JoinGate(rollouts, now),
            ChangeFeed(settings.store.url, writer=database.writer, on_noted=on_noted),
            lock,
        )


def host_writer(path: Path, settings: Settings) -> HostWriter:
    """Build the writer of the hosts files of the configuration at `path`; its thread reads the recorded addresses."""
    return HostWriter(path, recorded=lambda: asyncio.run(read_allocations(settings.store.url)))


def _readiness(configuration: Configuration) -> "Readiness":
    from netboot.app import from_settings  # slow to load, and few commands need it

    registry, _ = from_settings.registry_for(configuration.settings, configuration)
    return from_settings.readiness_for(configuration.settings, registry)


def _role_file_uses(path: Path, settings: Settings, hosts: Callable[[], HostSet], clock: Clock) -> RoleFileUses:
    """Build the use cases of the roles' Ignition files, checked with the hosts files; its thread reads the store."""

    def faults_with(contents: Contents) -> Sequence[Problem]:
        return read(path, asyncio.run(read_allocations(settings.store.url)), contents=contents).faults

    return RoleFileUses(hosts, faults_with, now=clock.now, random_bytes=clock.random_bytes)
