"""Builds what reads all hosts at once: for the first page, and the watch over boots that wait too long."""

from netboot.app.boot_services import BootServices
from netboot.app.store_access import OpenStore
from netboot.boot.sessions.boot_causes import BootCauses
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.boot.sessions.overdue_watch import OverdueWatch
from netboot.model.boot.expected_durations import ExpectedDurations
from netboot.operate.administration import Administration
from netboot.operate.rack.host_causes import HostCauses
from netboot.operate.rack.rack_overview import RackOverview
from netboot.operate.running_daemon import RunningDaemon


def rack_overview(
    store: OpenStore,
    administration: Administration,
    services: BootServices,
    *,
    seen: SeenMachines,
    daemon: RunningDaemon,
) -> RackOverview:
    install_moves, now = services.install_moves, services.install_moves.now

    def durations() -> ExpectedDurations:
        return store.durations.now

    causes = HostCauses(
        store.event_log,
        install_moves,
        durations=durations,
        unserved=daemon.unserved,
        shortage=daemon.shortage,
        now=now,
    )
    return RackOverview(
        install_moves,
        services.inspection_records,
        administration.boots,
        store.newest_events,
        causes,
        daemon,
        hosts=install_moves.hosts,
        machine_of=seen.machine_of,
        durations=durations,
        power_of=administration.power.observed,
        now=now,
    )


def overdue_watch(
    store: OpenStore, services: BootServices, seen: SeenMachines, *, daemon: RunningDaemon
) -> OverdueWatch:
    install_moves, clock = services.install_moves, services.clock
    causes = BootCauses(
        store.event_log,
        install_of=install_moves.known,
        machine_of=seen.machine_of,
        unserved=daemon.unserved,
        shortage=daemon.shortage,
        now=clock.now,
    )
    return OverdueWatch(
        store.boot_recorder,
        store.durations,
        store.boots,
        hosts=install_moves.hosts,
        causes=causes,
        on_unseen=services.local_boots.record_unseen,
        events=store.events,
        clock=clock,
        is_held=store.join_gate.holds,
    )
