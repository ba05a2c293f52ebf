"""The open store, and the operator's side of the house on it, with a daemon or without one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from netboot.app.hosts_in_force import last_accepted
from netboot.boot.administration import Administration
from netboot.boot.clock import utc_now
from netboot.boot.content_uses import ContentUse, content_uses
from netboot.boot.installs import InstallBook
from netboot.config.load import Configuration
from netboot.config.settings import Settings
from netboot.content.ostree import commit_named
from netboot.errors import ConfigError
from netboot.store.accepted_files import AcceptedFiles
from netboot.store.database import Database
from netboot.store.events import EventLog
from netboot.store.installs import Installs
from netboot.store.leases import LeaseLedger
from netboot.store.machines import Machines

if TYPE_CHECKING:
    from netboot.boot.readiness import Readiness

NO_DAEMON: Final = "no daemon runs, so no machine is answered; systemctl start netboot, or netboot serve"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The open store."""

    book: InstallBook
    events: EventLog
    machines: Machines
    leases: LeaseLedger
    accepted: AcceptedFiles

    def administration(self, settings: Settings) -> Administration:
        """Make what answers operators; it wants its hosts by `use`."""
        return Administration(self.book, self.events, machines=self.machines, attempts=settings.install.attempts)


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the store that the settings name; raise StoreError."""
    database = await Database.open(settings.store.url)
    try:
        events = EventLog(database, now=utc_now)
        book = InstallBook(Installs(database), events, now=utc_now)
        yield Ledger(book, events, Machines(database), LeaseLedger(database), AcceptedFiles(database))
        await events.flush()
    finally:
        await database.close()


@asynccontextmanager
async def offline_administration(
    configuration: Configuration, *, needs_hosts: bool = True
) -> AsyncIterator[Administration]:
    """Open the administration on the store itself, where no daemon runs.

    Hosts files with a fault stand back behind those that were accepted last. Where none were, raises ConfigError, or
    without `needs_hosts` knows only the hosts that no fault concerns.
    """
    async with open_ledger(configuration.settings) as ledger:
        administration = ledger.administration(configuration.settings)
        kept = configuration if not configuration.faults else await last_accepted(configuration, ledger.accepted)
        if kept is None and needs_hosts:
            raise ConfigError(configuration.faults)
        used = kept or configuration
        administration.use(
            used.hosts, lambda: _readiness(used), warnings=lambda: [NO_DAEMON], are_complete=kept is not None
        )
        ledger.book.use(used.hosts, partial(commit_named, configuration.settings.content.directory))
        yield administration


def _readiness(configuration: Configuration) -> "Readiness":
    from netboot.app import from_settings  # what renders documents takes its time to load, and few commands need it
    from netboot.content.bootfiles import BootFiles

    settings = configuration.settings
    documents, bootfiles = from_settings.documents_for(settings), BootFiles(settings.bootfiles.directories)
    return from_settings.readiness_for(settings, documents, bootfiles=bootfiles, hosts=configuration.hosts)


async def offline_content_uses(settings: Settings) -> list[ContentUse]:
    """List what armed and running installs use, from the store, where no daemon runs; raise StoreError.

    Which hosts are declared is not asked: their files may have faults.
    """
    async with open_ledger(settings) as ledger:
        return content_uses((), await ledger.book.all(), pulls=(), now=utc_now())
