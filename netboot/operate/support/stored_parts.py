"""What store and records have of a host or machine, as parts of a support archive; also without a running daemon."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from netboot.boot_records.record_files import Owner, RecordFiles, StoredRecord
from netboot.events.event_log import EventLog
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.operate.administration import Administration
from netboot.operate.host_status import DiscoveredMachine
from netboot.operate.support.support_parts import SupportFile, SupportPart, single

RECORDS: Final = "what it logged and sent in its boots, one file for each boot and kind, named by when the boot began"
NEWEST: Final = 5000  # events of a host, and of no host
MOST_RECORDS_BYTES: Final = 32 << 20  # of logs and captures


@dataclass(frozen=True, slots=True)
class StoredData:
    """The store of this appliance, and the records of machines. `tokens` are those that are stored now."""

    administration: Administration
    event_log: EventLog
    tokens: Callable[[], Awaitable[Sequence[str]]]


def stored_parts(stored: StoredData, owner: Owner | None, written: Callable[[object], str]) -> Iterator[SupportPart]:
    """List the parts of a host, of an unregistered machine by its MAC, or None, and of the appliance."""
    administration = stored.administration
    yield single(
        "appliance/events.json",
        f"the newest {NEWEST} events of no host, oldest first",
        partial(_events, stored, None),
        written,
    )
    yield single(
        "appliance/ignition-files.json",
        "the Ignition files: digests, deadlines, problems",
        administration.ignition_files,
        written,
    )
    yield single("appliance/installs.json", "the state of every install", administration.installs, written)
    if owner is None:
        return
    if isinstance(owner, Mac):
        yield single(
            "host/machine.json", "the machine, as it reported itself", partial(_machine, stored, owner), written
        )
    else:
        yield from _host_parts(administration, owner, written)
    yield single(
        "host/events.json", f"its newest {NEWEST} events, oldest first", partial(_events, stored, owner), written
    )
    yield single(
        "host/boots.json", "its boots with their steps, oldest first", partial(administration.boots.all, owner), written
    )


def _host_parts(
    administration: Administration, name: HostName, written: Callable[[object], str]
) -> Iterator[SupportPart]:
    yield single(
        "host/host.json", "its state, why it does not proceed, its machine", partial(administration.host, name), written
    )
    yield single("host/install.json", "its install and arming", partial(administration.install, name), written)
    yield single("host/history.json", "transitions, armings, reports", partial(administration.history, name), written)
    about = "the documents that it was served last, without tokens"
    yield single("host/served.json", about, partial(administration.served_documents, name), written)


async def _events(stored: StoredData, owner: Owner | None) -> Sequence[Event]:
    if owner is None or not isinstance(owner, Mac):
        return await stored.event_log.newest(owner, limit=NEWEST)
    return [event for event in await stored.event_log.newest(None, limit=NEWEST) if event.mac == owner]


async def _machine(stored: StoredData, mac: Mac) -> DiscoveredMachine | None:
    machines = await stored.administration.machines()
    return next((found for found in machines if found.machine.mac == mac), None)


def newest_records(files: RecordFiles, owner: Owner) -> Sequence[SupportFile]:
    """List the files of the newest boots, as many as fit. Blocks."""
    return list(_newest(files.all_of(owner)))


def _newest(records: Sequence[StoredRecord]) -> Iterator[SupportFile]:
    left = MOST_RECORDS_BYTES
    for record in reversed(records):
        left -= record.size_bytes
        if left < 0:
            return
        yield SupportFile(f"host/records/{record.path.name}", record.path.read_bytes)
