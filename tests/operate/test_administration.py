"""The requests of an operator: hosts are armed, with their disk and release, listed and cancelled."""

import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, UNKNOWN_MAC, BuiltServices, WithServices
from sqlalchemy import text

from netboot.admin.json_views import json_view
from netboot.boot_records.kept_records import KeptRecords
from netboot.boot_records.record_files import RecordFiles
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import ConfigError, NetbootError, Problem, UnknownHostError
from netboot.events.event_feed import READ_AT_ONCE
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.causes.cause import Shortage
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.host.network import DhcpMode
from netboot.model.install.event import Event, Step
from netboot.model.release import EntryKind, EntryName
from netboot.operate.administration import Administration
from netboot.operate.arming import ArmingRefusedError, ArmRequest
from netboot.operate.cluster.role_file_uses import RoleFileUses
from netboot.operate.host_status import DiscoveredMachine
from netboot.operate.readiness import Readiness, ServerFacts
from netboot.operate.running_daemon import DaemonStatus, ReloadResult, RescanRequest, RescanResult
from netboot.registry.writing.host_writer import HostWriter
from netboot.store.allocations import Allocations

UNKNOWN = replace(FIRMWARE, mac=UNKNOWN_MAC)
CP1, W1 = HostName("cp1"), HostName("w1")
OPERATOR, AUDIT = Actor("uid 1000", Source.CONTROL_SOCKET), "audit.recorded"
CLUSTER_INIT = "cp1 is cluster.init: its installed system starts a new cluster rackone"


STATUS = DaemonStatus("1.0", 7, datetime(2026, 11, 21, tzinfo=UTC), 2, 1, ["ol8u10"], ["ock"], [], [], {})
UNREGISTERED = Machine(UNKNOWN_MAC, STATUS.started_at, STATUS.started_at)
RELOADED = ReloadResult(2, ["tftp"], ["w1"], [], [])
RESCANNED = RescanResult(["ol8u10"], ["ock"], [], [])
STORE_FAULT = "the store failed: no such table: events; see store.url, and the log of its database"
FAULT = Problem("hosts.yaml", 3, 1, "hosts.w1.rol", "no such key", "did you mean role?")


class Appliance:
    """Stands for the daemon, which this package must not import."""

    def __init__(self, fault: ConfigError | None = None) -> None:
        self._fault = fault
        self.rescanned: list[EntryName | None] = []

    def status(self) -> DaemonStatus:
        return STATUS

    def problems(self) -> list[str]:
        return []

    def unserved(self) -> list[str]:
        return []

    def shortage(self) -> Shortage | None:
        return None

    def pulls(self) -> list[str]:
        return []

    def image_pulls(self) -> list[str]:
        return []

    def boot_progress(self, _: Mac) -> None:
        return None

    def discovered(self) -> list[Machine]:
        return [UNREGISTERED]

    async def reload(self) -> ReloadResult:
        if self._fault is not None:
            raise self._fault
        return RELOADED

    async def rescan_content(self, entry: EntryName | None) -> RescanResult:
        self.rescanned.append(entry)
        return RESCANNED


def administration(
    services: BuiltServices, server: ServerFacts | None = None, daemon: Appliance | None = None
) -> Administration:
    readiness = Readiness(services.documents, services.policy, bootfiles=BootFiles([]), server=server or ServerFacts())
    return Administration(
        services.install_moves,
        services.event_bus,
        event_log=services.event_log,
        machines=services.machines,
        allocations=Allocations(services.database),
        served=services.served,
        boot_waits=services.boot_waits,
        boot_recorder=services.boot_recorder,
        inspections=services.inspections,
        hosts=lambda: services.hosts,
        host_files=HostWriter(Path("netboot.yaml")),
        readiness=lambda: readiness,
        role_files=RoleFileUses(
            lambda: services.hosts, lambda _: (), now=services.clock.now, random_bytes=services.clock.random_bytes
        ),
        attempts=3,
        records=KeptRecords(RecordFiles(services.directory / "logs")),
        now=services.clock.now,
        daemon=daemon,
        bmc_credentials=Path("bmc.d"),
    )


async def audits(services: BuiltServices) -> list[tuple[object, ...]]:
    """List what the audit trail has: action, subject, actor, outcome, reason."""
    keys = ("action", "subject", "actor", "outcome", "reason")
    return [tuple(event.data[key] for key in keys) for event in await services.events() if event.name == AUDIT]


async def shown(found: Awaitable[Any]) -> Any:
    """Wait for what the administration finds, as the API shows it."""
    return json_view(await found)


def declare(services: BuiltServices, change: Callable[[Host], Host | None]) -> None:
    """Swap the hosts as a reload does."""
    hosts = HostSet.of(services.hosts.cluster, [changed for host in services.hosts if (changed := change(host))])
    services.use(hosts=hosts)


def without_disk(name: HostName) -> Callable[[Host], Host]:
    return lambda host: replace(host, disk=None) if host.name == name else host


def removed(name: HostName) -> Callable[[Host], Host | None]:
    return lambda host: None if host.name == name else host


def test_an_armed_host_is_answered_with_what_will_happen_and_what_to_know(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        return await shown(administration(services).arm(ArmRequest(["cp1"], reason="first\ntry", attempts=2)))

    [armed] = with_services(scenario)

    arming = armed["arming"]
    assert len(arming.pop("commit")) == 64
    assert arming == {
        "at": arming["at"],
        "reason": "first try",
        "attempts": 2,
        "spent": 0,
        "left": 2,
        "macs": [MAC],
        "disk": "/dev/vda",
        "release": "ock-1.31-amd64",
        "changes": [],
    }
    assert (armed["boot_media"], armed["reasons"], armed["warnings"]) == (
        "ol8u10-x86_64",
        [],
        [CLUSTER_INIT],
    )


def test_of_several_hosts_none_is_armed_where_one_cannot_be(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[bool]:
        declare(services, without_disk(W1))
        with pytest.raises(ArmingRefusedError) as refused:
            await administration(services).arm(ArmRequest(["cp1", "w1"]))
        assert list(refused.value.reasons) == [W1]
        assert str(refused.value).endswith("nothing was armed; correct this, or arm anyway with --force")
        return [(await services.install_moves.read(name)).is_armed for name in (CP1, W1)]

    assert with_services(scenario) == [False, False]


def test_of_several_hosts_all_are_armed_once_each(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[list[Any], int]:
        armed = await shown(administration(services).arm(ArmRequest(["w1", "cp1", "w1"])))
        return [view["host"] for view in armed], len(await services.install_moves.history(W1))

    assert with_services(scenario) == (["w1", "cp1"], 1)


def test_force_arms_what_is_not_ready_and_shows_the_reasons_all_the_same(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        return await shown(administration(services, ServerFacts(DhcpMode.OFF)).arm(ArmRequest(["w1"], force=True)))

    [armed] = with_services(scenario)

    assert armed["armed"] is True
    assert [reason[:26] for reason in armed["reasons"]] == ["w1 cannot be identified: d"]


def test_force_does_not_arm_in_the_middle_of_an_install(with_services: WithServices):
    async def scenario(services: BuiltServices) -> str:
        await administration(services).arm(ArmRequest(["cp1"]))
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        with pytest.raises(ArmingRefusedError) as refused:
            await administration(services).arm(ArmRequest(["cp1"], force=True))
        return str(refused.value)

    assert with_services(scenario) == (
        "cannot arm cp1: cp1 is loading under its arming of 2026-11-21 00:16; "
        "let it end, or netboot install cancel cp1 first\nnothing was armed"
    )


def test_the_arming_of_a_removed_host_is_listed_with_its_reason_and_taken_back(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[list[Any], Any, list[Any]]:
        await administration(services).arm(ArmRequest(["w1"]))
        declare(services, removed(W1))
        admin = administration(services)
        listed = await shown(admin.installs())
        assert (await shown(admin.install("w1"))).items() >= listed[0].items()
        return listed, await shown(admin.cancel("w1")), await shown(admin.history("w1"))

    listed, cancelled, history = with_services(scenario)

    assert [(view["host"], view["armed"], view["declared"]) for view in listed] == [("w1", True, False)]
    assert listed[0]["arming"]["changes"] == ["it is no longer declared in the hosts files"]
    assert (cancelled["armed"], cancelled["notes"]) == (False, ["w1 is not armed; it boots its own disk"])
    assert [move["what"] for move in history] == ["armed", "cancelled"]


def test_a_removed_host_waits_for_no_step_of_the_boot_that_its_machine_had_begun(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[Any]:
        await administration(services).arm(ArmRequest(["w1"]))
        offered = Event("boot.offered", services.clock.now(), W1, UNKNOWN_MAC, Step.OFFER, {"boot_file": "snponly.efi"})
        services.event_log.take(offered, logging.INFO)
        await services.event_log.flush()
        before = await shown(administration(services).install("w1"))
        declare(services, removed(W1))
        return [
            view["wait"] and view["wait"]["step"]
            for view in (before, await shown(administration(services).install("w1")))
        ]

    assert with_services(scenario) == ["loader", None]


@pytest.mark.parametrize("operation", ["cancel", "install", "history", "host"])
def test_a_host_that_no_file_and_no_record_names_is_unknown(with_services: WithServices, operation: str):
    async def scenario(services: BuiltServices) -> None:
        with pytest.raises(UnknownHostError, match="no host is called cp9; the registry has: cp1, w1"):
            await getattr(administration(services), operation)("cp9")

    with_services(scenario)


def test_of_several_hosts_none_is_armed_where_one_is_unknown(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        with pytest.raises(UnknownHostError, match="no host is called cp9; the registry has: cp1, w1"):
            await administration(services).arm(ArmRequest(["cp1", "cp9"]))
        return await shown(administration(services).installs())

    assert with_services(scenario) == []


def test_a_removed_host_cannot_be_armed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await administration(services).arm(ArmRequest(["w1"]))
        declare(services, removed(W1))

        with pytest.raises(UnknownHostError):
            await administration(services).arm(ArmRequest(["w1"], force=True))

    with_services(scenario)


def test_a_reload_and_a_change_of_content_are_done_by_the_daemon_and_recorded(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        daemon = Appliance()
        admin = administration(services, daemon=daemon)
        entry = (EntryKind.RELEASE, "ock")

        assert await admin.reload(actor=OPERATOR) is RELOADED
        assert await admin.rescan_content(RescanRequest(entry, "import-archive ock"), actor=OPERATOR) is RESCANNED
        assert daemon.rescanned == [entry]
        assert await admin.machines() == [DiscoveredMachine(UNREGISTERED, None)]
        assert await audits(services) == [
            ("reload", None, "uid 1000", "done", None),
            ("change content", "import-archive ock", "uid 1000", "done", None),
        ]

    with_services(scenario)


def test_a_reload_that_keeps_the_previous_files_is_recorded_with_the_first_fault(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        admin = administration(services, daemon=Appliance(ConfigError([FAULT])))
        with pytest.raises(ConfigError):
            await admin.reload(actor=OPERATOR)

        assert await audits(services) == [("reload", None, "uid 1000", "refused", str(FAULT))]

    with_services(scenario)


def test_the_status_is_shown_with_the_newest_event_or_why_the_store_does_not_answer(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        admin = administration(services, daemon=Appliance())
        await admin.reload(actor=OPERATOR)
        await services.event_log.flush()
        answered = await admin.status()
        async with services.database.transaction() as connection:
            await connection.execute(text("DROP TABLE events"))
        failed = await admin.status()

        assert (answered.daemon, answered.last_event_id, answered.store_fault) == (STATUS, 1, None)
        assert (failed.daemon, failed.last_event_id) == (STATUS, None)
        assert failed.store_fault == STORE_FAULT

    with_services(scenario)


def test_without_a_daemon_what_only_it_can_do_is_refused_with_the_cure(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        with pytest.raises(NetbootError, match="no daemon runs; start it with systemctl start netboot"):
            await administration(services).status()

    with_services(scenario)


def test_stored_events_are_read_in_parts_and_each_is_given_once(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        admin = administration(services)
        for number in range(2 * READ_AT_ONCE + 1):
            services.event_log.take(Event("boot.offered", services.clock.now(), W1, data={"n": number}), logging.INFO)
        await services.event_log.flush()

        events = [event async for event in admin.events(host="w1", follow=False)]

        assert [event.data["n"] for event in events if event] == list(range(2 * READ_AT_ONCE + 1))

    with_services(scenario)


def test_hosts_machines_events_and_uses_are_listed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        admin = administration(services)
        services.boots(UNKNOWN)
        await services.machines.flush()
        await admin.arm(ArmRequest(["w1"], reason="x"))
        await services.event_log.flush()
        events = [event async for event in admin.events(host="w1", follow=False)]
        with pytest.raises(UnknownHostError):
            await admin.known_host("cp9")
        return (
            [(found["name"], found["install"]["armed"]) for found in await shown(admin.hosts())],
            [machine["mac"] for machine in await shown(admin.machines())],
            [(event["event"], event["data"]["by"]) for event in json_view(events)],
            await admin.last_event_id() >= events[-1].id,
            [use["use"] for use in await shown(admin.content_uses()) if use["host"] == "w1"],
        )

    assert with_services(scenario) == (
        [("cp1", False), ("w1", True)],
        [UNKNOWN_MAC],
        [("install.moved", "armed")],
        True,
        ["armed", "host", "armed", "host"],
    )


def test_followed_events_begin_with_those_on_record_and_end_with_the_daemon(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        admin = administration(services)
        await admin.arm(ArmRequest(["w1"]))
        await services.event_log.flush()
        services.event_log.feed.end()
        return [event.name async for event in admin.events(host="w1") if event]

    assert with_services(scenario) == ["install.moved"]


@pytest.mark.parametrize("operation", ["status", "reload"])
def test_what_only_a_daemon_can_do_is_refused_without_one(with_services: WithServices, operation: str):
    async def scenario(services: BuiltServices) -> None:
        with pytest.raises(NetbootError, match="no daemon runs; start it with systemctl start netboot"):
            await getattr(administration(services), operation)()

    with_services(scenario)


def test_a_change_without_a_named_actor_is_by_the_user_of_this_process(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[Actor | None]:
        admin = administration(services)
        await admin.arm(ArmRequest(["w1"]))
        await admin.cancel("w1", actor=Actor("uid 1000", Source.CONTROL_SOCKET))
        return [move.actor for move in await admin.history("w1")]

    user = Actor(f"uid {os.getuid()}", Source.COMMAND)
    assert with_services(scenario) == [user, Actor("uid 1000", Source.CONTROL_SOCKET)]


def test_a_change_that_is_refused_is_in_the_audit_trail_with_the_reason(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[tuple[str, Any]]:
        with pytest.raises(NetbootError):
            await administration(services).reload(actor=Actor("a process", Source.SIGNAL))
        return [(event.name, dict(event.data)) for event in await services.events()]

    refused = {"outcome": "refused", "reason": "no daemon runs; start it with systemctl start netboot"}
    by = {"actor": "a process", "source": "signal"}
    assert with_services(scenario) == [("audit.recorded", {"action": "reload", "subject": None, **by, **refused})]
