"""The open store, and the operator's side of the house on it, with a daemon or without one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from netboot.app.hosts_in_force import last_accepted
from netboot.boot.install_moves import InstallMoves
from netboot.content.ostree.repository import commit_named
from netboot.errors import ConfigError, StoreError
from netboot.events.event_log import EventLog
from netboot.model.clock import utc_now
from netboot.operate.administration import Administration
from netboot.operate.content_uses import ContentUse, content_uses
from netboot.registry.load import Configuration
from netboot.settings.settings import Settings
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.advisory_lock import AdvisoryLock
from netboot.store.database import Database
from netboot.store.exclusive import HeldError, Lock, held_alone, held_together, lock_of_store
from netboot.store.installs import Installs
from netboot.store.leases import LeaseStore
from netboot.store.machines import Machines

if TYPE_CHECKING:
    from netboot.operate.readiness import Readiness


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The open store."""

    install_moves: InstallMoves
    events: EventLog
    machines: Machines
    leases: LeaseStore
    accepted: AcceptedFiles
    lock: Lock | None = None

    def administration(self, settings: Settings) -> Administration:
        """Make what answers operators; it wants its hosts by `use`."""
        return Administration(
            self.install_moves, self.events, machines=self.machines, attempts=settings.install.attempts
        )


@asynccontextmanager
async def open_store(
    settings: Settings, *, owner: str, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[OpenStore]:
    """Open the store that the settings name for the daemon `owner`, and for no other; raise StoreError."""
    async with AsyncExitStack() as stack:
        lock = lock_of_store(settings.store.url)
        if lock is not None:
            await stack.enter_async_context(held_alone(lock, owner=owner, what="the store (store.url)"))
        yield await stack.enter_async_context(_opened(settings, lock=lock, now=now))


@asynccontextmanager
async def offline_administration(
    configuration: Configuration, *, needs_hosts: bool = True
) -> AsyncIterator[Administration]:
    """Open the administration on the store itself, where no daemon runs; raise StoreError where one does.

    Hosts files with a fault stand back behind those that were accepted last. Where none were, raises ConfigError, or
    without `needs_hosts` knows only the hosts that no fault concerns. What a daemon on another box wrote to PostgreSQL
    is shown; it is not changed.
    """
    async with _offline_store(configuration.settings) as store:
        administration = store.administration(configuration.settings)
        kept = configuration if not configuration.faults else await last_accepted(configuration, store.accepted)
        if kept is None and needs_hosts:
            raise ConfigError(configuration.faults)
        used = kept or configuration
        administration.use(used.hosts, lambda: _readiness(used), warnings=list, are_complete=kept is not None)
        store.install_moves.use(used.hosts, partial(commit_named, configuration.settings.content.directory))
        yield administration


async def offline_content_uses(settings: Settings) -> list[ContentUse]:
    """List what armed and running installs use, from the store, where no daemon runs; raise StoreError.

    Which hosts are declared is not asked: their files may have faults.
    """
    async with _offline_store(settings) as store:
        return content_uses((), await store.install_moves.all(), pulls=(), now=utc_now())


@asynccontextmanager
async def _offline_store(settings: Settings) -> AsyncIterator[OpenStore]:
    held_by = ""
    async with AsyncExitStack() as stack:
        if lock := lock_of_store(settings.store.url):
            try:
                await stack.enter_async_context(held_together(lock))
            except HeldError as error:
                if not isinstance(lock, AdvisoryLock):
                    raise StoreError(
                        f"{error.owner} works on the store and does not answer on {settings.admin.socket}; "
                        "see journalctl -u netboot; if it hangs: systemctl restart netboot"
                    ) from None
                held_by = error.owner
        yield await stack.enter_async_context(_opened(settings, held_by=held_by))


@asynccontextmanager
async def _opened(
    settings: Settings, *, lock: Lock | None = None, held_by: str = "", now: Callable[[], datetime] = utc_now
) -> AsyncIterator[OpenStore]:
    database = await Database.open(settings.store.url, held_by=held_by)
    try:
        events = EventLog(database, now=now)
        machines = Machines(database)
        install_moves = InstallMoves(Installs(database), events, now=now)
        try:
            yield OpenStore(install_moves, events, machines, LeaseStore(database), AcceptedFiles(database), lock)
        finally:
            await database.finished()  # the moves of callers that were cancelled, with their events
            await machines.close()
            await events.close()
    finally:
        await database.close()


def _readiness(configuration: Configuration) -> "Readiness":
    from netboot.app import from_settings  # what renders documents takes its time to load, and few commands need it
    from netboot.content.bootfiles.directories import BootFiles

    settings = configuration.settings
    documents, bootfiles = from_settings.documents_for(settings), BootFiles(settings.bootfiles.directories)
    return from_settings.readiness_for(settings, documents, bootfiles=bootfiles, hosts=configuration.hosts)
