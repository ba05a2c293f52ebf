"""What a running daemon reports of itself: status, problems, parts of the health, gauges. From memory."""

import os
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from datetime import datetime

from netboot import __version__
from netboot.app.administration.admin_listener import AdminListener
from netboot.app.appliances.known_appliances import KnownAppliances
from netboot.app.boot_services import BootServices
from netboot.app.configuration_in_force import ConfigurationInForce
from netboot.app.health.fault_watch import FaultWatch
from netboot.app.listeners import BootListeners
from netboot.app.running.watchdog import Watchdog
from netboot.app.store_access import OpenStore
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.boot_records.record_writer import RecordWriter
from netboot.content.serving.index import ContentIndex
from netboot.model.release import EntryKind
from netboot.operate.content.content_administration import ContentAdministration
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.readiness import warnings_of_seen
from netboot.operate.running_daemon import DaemonStatus, DiskUse
from netboot.telemetry.health import HealthPart, PartState


@dataclass(frozen=True, slots=True, eq=False)
class DaemonReport:
    """Collects what the parts of one daemon report."""

    registry: LiveRegistry
    seen: SeenMachines
    store: OpenStore
    _: KW_ONLY
    started_at: datetime
    is_stopping: Callable[[], bool]
    in_force: ConfigurationInForce
    services: BootServices
    content: ContentIndex
    content_work: ContentAdministration
    listeners: BootListeners
    admin: AdminListener
    appliances: KnownAppliances
    watchdog: Watchdog
    fault_watch: FaultWatch
    power: PowerRequests
    records: RecordWriter | None

    def status(self) -> DaemonStatus:
        now = self.registry.now
        return DaemonStatus(
            version=__version__,
            pid=os.getpid(),
            started_at=self.started_at,
            hosts=len(now.hosts),
            machines=len(self.seen.unregistered()),
            media=self.content.names(EntryKind.MEDIUM),
            releases=self.content.names(EntryKind.RELEASE),
            pulls=self.services.files.pulls(),
            image_pulls=self.content.images.pulled(),
            problems=self.problems(),
            loaders={f"{protocol}/{cpu}": name for (protocol, cpu), name in now.policy.loaders.items()},
            warnings=[
                *warnings_of_seen(now.hosts, self.seen),
                *self.admin.warnings,
                *self.listeners.warnings(),
                *self.appliances.warnings(),
            ],
            other_servers=self.services.other_servers.current(),
            unobserved=self.listeners.unobserved(),
            records=DiskUse.of(self.records.budget) if self.records is not None else None,
            appliances=self.appliances.states(),
        )

    def problems(self) -> list[str]:
        """List what prevents serving machines as declared: faults of the files, problems of this appliance."""
        sealing = self.store.database.sealing.problem()
        others = [*self.in_force.problems(), *self.listeners.problems(), *self.admin.problems]
        others += [*self.appliances.problems(), *self.watchdog.problems, *self.power.problems()]
        others += [*([sealing] if sealing else []), *self.content_work.scrubbing.problems()]
        return list(dict.fromkeys([*self.fault_watch.problems(), *others, *self._record_problems()]))

    def _record_problems(self) -> list[str]:
        return [self.records.problem] if self.records and self.records.problem else []

    def parts(self) -> list[HealthPart]:
        """List the parts whose state is in memory."""
        stop = HealthPart.of("daemon", "it is stopping" if self.is_stopping() else None)
        records = HealthPart.of("records", *self._record_problems(), at_worst=PartState.DEGRADED)
        others = [*self.listeners.parts(), *self.admin.parts(), *self.watchdog.parts()]
        return [stop, records, *self.in_force.parts(), *others, *self.content_work.scrubbing.parts()]
