"""Reads all hosts in one pass: installs from the store, machines, boots and events from the daemon's memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime

from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.errors import StoreError
from netboot.events.newest_events import NewestEvents
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import requested_boot
from netboot.model.install.install import Install
from netboot.operate.boots.boot_history import BootHistory, ShownBoot
from netboot.operate.power.power_request import ObservedPower
from netboot.operate.rack.host_causes import HostCauses, Suspect
from netboot.operate.rack.rack_row import HostRow, boot_percent
from netboot.operate.running_daemon import RunningDaemon


@dataclass(frozen=True, slots=True)
class Rack:
    """All hosts by name, and what keeps the appliance from serving them as declared."""

    rows: Sequence[HostRow]
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()
    store_fault: str | None = None  # the rows are from memory
    unregistered: int = 0  # machines that requested a boot


@dataclass(frozen=True, slots=True, eq=False)
class RackOverview:
    """The use case. While the store fails, the rows are what the memory has."""

    install_moves: InstallMoves
    inspections: InspectionRecords
    boots: BootHistory
    newest_events: NewestEvents
    causes: HostCauses
    daemon: RunningDaemon
    _: KW_ONLY
    hosts: Callable[[], HostSet]  # in force
    machine_of: Callable[[Mac], Machine | None]  # in memory
    durations: Callable[[], ExpectedDurations]
    power_of: Callable[[HostName], ObservedPower | None]  # in memory
    now: Callable[[], datetime]

    async def read(self) -> Rack:
        """Return every declared host."""
        hosts = sorted(self.hosts(), key=lambda host: host.name)
        boots = {boot.record.host: boot for boot in await self.boots.running() if boot.record.host is not None}
        installs, fault = await self._installs(hosts)
        rows = [self._row(host, installs.get(host.name) or Install(host.name), boots.get(host.name)) for host in hosts]
        causes = await self.causes.of([_suspect(row) for row in rows])
        status = self.daemon.status()
        return Rack(
            [replace(row, cause=causes[row.host.name]) if causes.get(row.host.name) else row for row in rows],
            status.problems,
            status.warnings,
            fault,
            status.machines,
        )

    async def _installs(self, hosts: Sequence[Host]) -> tuple[Mapping[HostName, Install], str | None]:
        """Read the installs; while the store fails, those in memory, and its fault."""
        try:
            await self.newest_events.load_once()
            return await self.install_moves.all(), None
        except StoreError as error:
            return {host.name: self.install_moves.known(host.name) for host in hosts}, str(error)

    def _row(self, host: Host, install: Install, boot: ShownBoot | None) -> HostRow:
        seen = [machine for mac in host.macs if (machine := self.machine_of(mac)) is not None]
        inspected = [each for mac in host.macs if (each := self.inspections.known(mac)) is not None]
        percent = boot_percent(boot, self.durations(), self.now()) if boot is not None else None
        return HostRow(
            host,
            install,
            requested_boot(inspected),
            boot,
            max(seen, key=lambda machine: machine.last_seen, default=None),
            self.newest_events.of(host.name),
            percent=percent,
            power=self.power_of(host.name),
        )


def _suspect(row: HostRow) -> Suspect:
    return Suspect(row.install, row.event, row.machine, row.boot is not None, row.is_overdue)
