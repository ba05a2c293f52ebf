"""The actions on hosts: which are refused now, with the sentences with which the use cases refuse them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, BuiltServices, WithServices
from operate.power.test_power_requests import built

from netboot.boot.install_moves import ChangeCause
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import (
    HostFileError,
    InspectionRefusedError,
    NetbootError,
    RescueRefusedError,
    TransitionError,
    UnknownHostError,
    WipeRefusedError,
)
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import HostName
from netboot.model.install.install import InstallEvent, InstallState
from netboot.model.power.power import PowerAction
from netboot.operate.actions import host_arming
from netboot.operate.actions.host_actions import HostActions
from netboot.operate.actions.host_arming import HostArming
from netboot.operate.actions.host_verbs import POWER_ACTIONS, HostAction, HostVerb
from netboot.operate.arming import ArmingRefusedError, ArmRequest
from netboot.operate.host_status import InstallStatus
from netboot.operate.one_time_boots import OneTimeBoots, RescueRequest
from netboot.operate.power.power_request import PowerRequest, no_bmc, under_way
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.readiness import Readiness, ServerFacts
from netboot.operate.registration.host_changes import HostChanges, RemovalRequest
from netboot.operate.running_daemon import NO_DAEMON
from netboot.registry.writing.host_writer import HostWriter
from netboot.store.allocations import Allocations

CP1, W1 = HostName("cp1"), HostName("w1")
MEDIUM = "ol8u10-x86_64"
PROBLEM = "cannot listen on eth1: No such device; see network.interfaces"

C: Final = HostVerb.POWER_CYCLE


@dataclass(frozen=True)
class Uses:
    """The use cases that are refused, and the actions that show why before."""

    actions: HostActions
    arming: HostArming
    once: OneTimeBoots
    changes: HostChanges

    async def refused(self, name: str) -> dict[HostVerb, Sequence[str]]:
        return {each.verb: each.reasons for each in await self.actions.of(name) if each.reasons}


def uses(services: BuiltServices, config: str = "netboot.yaml", *, power: PowerRequests | None = None) -> Uses:
    async def discovered() -> list[Machine]:
        return []

    def readiness() -> Readiness:
        return Readiness(services.documents, services.policy, bootfiles=BootFiles([]), server=ServerFacts())

    hosts, now, user = services.registry.hosts, services.clock.now, Actor("uid 0", Source.COMMAND)
    moves, records, events = services.install_moves, services.inspections, services.event_bus
    once = OneTimeBoots(
        records, moves, events, hosts=hosts, discovered=discovered, readiness=readiness, user=user, now=now
    )
    changes = HostChanges(
        HostWriter(Path(config)),
        moves,
        events,
        one_time_boots=once,
        machines=services.machines,
        allocations=Allocations(services.database),
        inspections=records,
        discovered=discovered,
        daemon=None,
        user=user,
        now=now,
    )
    arming = HostArming(
        moves,
        records,
        services.machines,
        hosts=hosts,
        readiness=readiness,
        problems=lambda: [PROBLEM],
        status=lambda install: InstallStatus(install, (), is_declared=True),
        attempts=3,
        user=user,
    )
    return Uses(HostActions(arming, once, changes, power, hosts=hosts, now=now), arming, once, changes)


async def sentences(work: Any, error: type[NetbootError]) -> list[str]:
    """Return the lines with which a use case refuses."""
    with pytest.raises(error) as caught:
        await work
    return str(caught.value).splitlines()


def test_power_actions_are_judged_as_their_request_would_be_and_only_by_a_daemon(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        rack = built(services)
        power = rack.power
        offline = [each.reasons for each in await uses(services).actions.of("cp1") if each.verb in POWER_ACTIONS]
        assert offline == [[NO_DAEMON]] * 4
        actions = {each.verb: each for each in await uses(services, power=power).actions.of("cp1")}
        assert [actions[verb].refusal for verb in POWER_ACTIONS] == [None, None, None, None]

        (intent,) = await power.request(PowerRequest(["cp1"], PowerAction.ON), actor=Actor("alice", Source.API))

        made = uses(services, power=power).actions
        assert [(each.host.name, action.refusal, action.after) for each, action in await made.on(["cp1", "w1"], C)] == [
            ("cp1", under_way(intent), intent.id),
            ("w1", None, ""),
        ]
        services.change_host("w1", bmc=None)
        (_, without) = (await made.on(["w1"], C))[0]
        assert (without.reasons, without.is_forcible) == ([no_bmc(HostName("w1"))], False)
        rack.bmcs.unusable = "sushy is missing"
        (_, unusable) = (await made.on(["cp1"], C))[0]
        assert (unusable.reasons, unusable.is_forcible) == ([under_way(intent), "sushy is missing"], False)

    with_services(scenario)


def test_power_actions_of_a_state_that_no_report_shows_are_judged_as_their_request(with_services: WithServices):
    """A forged offer does not let a page restart a machine whose disk is written."""

    async def scenario(services: BuiltServices) -> None:
        rack, moves = built(services), services.install_moves
        await moves.arm_all([CP1], reason="test", attempts=2)
        await rack.become(InstallState.LOADING)
        await moves.move(CP1, InstallEvent.REPORTED_STARTED, cause=ChangeCause())
        await moves.move(CP1, InstallEvent.OFFER_SENT, cause=ChangeCause())
        made = uses(services, power=rack.power).actions
        refused = await rack.refusal_of(PowerAction.CYCLE, "cp1")

        shown = {each.verb: each for each in await made.of("cp1") if each.verb in POWER_ACTIONS}
        ((_, first), (_, second)) = await made.on(["cp1", "w1"], C)

        assert refused.reasons["cp1"][0].startswith("cp1 is offered, and was installing before")
        assert [verb for verb, each in shown.items() if each.reasons] == [
            verb for verb, action in POWER_ACTIONS.items() if action is not PowerAction.ON
        ]
        assert shown[C] == first
        assert (first.reasons, first.is_forcible) == (refused.reasons["cp1"], True)
        assert (second.reasons, second.is_forcible) == ([], False)

    with_services(scenario)


def declared_by_commands(services: BuiltServices, site: Any) -> None:
    """Let commands have declared cp1 and w1 as they are in force."""
    (site.directory / "hosts.d").mkdir()
    (site.directory / "hosts.yaml").unlink(missing_ok=True)
    writer = HostWriter(Path("netboot.yaml"))
    for host in list(services.hosts):
        [change] = writer.add({host.name: {"role": host.role.value, "mac": [f"{mac}" for mac in host.macs]}})
        disk = f"/dev/disk/by-id/{host.name}"
        services.change_host(host.name, declared_at=f"{change.file}:3:3", disk=disk)


def test_of_a_host_at_rest_only_what_there_is_nothing_to_end_of_is_refused(with_services: WithServices, site):
    async def scenario(services: BuiltServices) -> None:
        declared_by_commands(services, site)

        assert await uses(services).refused("w1") == {
            HostVerb.CONFIRM: ["w1 is not held"],
            HostVerb.CANCEL: ["w1 is not armed"],
            HostVerb.CANCEL_RESCUE: ("no rescue of w1 was requested",),
            **{verb: [NO_DAEMON] for verb in POWER_ACTIONS},
        }

    with_services(scenario)


def test_what_an_operator_reads_before_an_arming_is_with_the_action(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        arm = (await uses(services).actions.of("cp1"))[0]

        assert arm == HostAction(
            CP1,
            HostVerb.ARM,
            warnings=["cp1 is cluster.init: its installed system starts a new cluster rackone", PROBLEM],
        )
        assert arm.refusal is None

    with_services(scenario)


def test_an_armed_host_is_neither_inspected_nor_rescued_with_the_sentences_of_the_use_cases(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        made = uses(services)
        await made.arming.arm(ArmRequest(["w1"]))

        refused = await made.refused("w1")

        assert refused.keys() >= {HostVerb.INSPECT, HostVerb.RESCUE}
        assert HostVerb.CANCEL not in refused
        assert await sentences(made.once.inspect("w1"), InspectionRefusedError) == [
            f"cannot inspect w1: {reason}" for reason in refused[HostVerb.INSPECT]
        ]
        assert await sentences(made.once.rescue(RescueRequest(["w1"])), RescueRefusedError) == [
            *(f"cannot rescue w1: {reason}" for reason in refused[HostVerb.RESCUE]),
            "no rescue was requested",
        ]

    with_services(scenario)


def test_a_host_that_is_not_ready_can_be_armed_by_force_alone(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        made = uses(services)
        services.change_host("w1", disk=None)

        arm = (await made.actions.of("w1"))[0]

        assert arm.is_forcible
        assert arm.refusal == "\n".join(arm.reasons)
        refusal = await sentences(made.arming.arm(ArmRequest(["w1"])), ArmingRefusedError)
        assert refusal[:-1] == [f"cannot arm w1: {reason}" for reason in arm.reasons]
        assert [each.status.install.host for each in await made.arming.arm(ArmRequest(["w1"], force=True))] == [W1]

    with_services(scenario)


def test_while_a_rescue_is_requested_no_force_arms_the_host(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        made = uses(services)
        services.change_host("w1", disk=None)
        await made.once.rescue(RescueRequest(["w1"]))

        actions = {each.verb: each for each in await made.actions.of("w1")}

        assert not actions[HostVerb.ARM].is_forcible
        assert len(actions[HostVerb.ARM].reasons) == 2
        assert actions[HostVerb.CANCEL_RESCUE].reasons == ()
        forced = await sentences(made.arming.arm(ArmRequest(["w1"], force=True)), ArmingRefusedError)
        assert forced[:-1] == [f"cannot arm w1: {actions[HostVerb.ARM].reasons[0]}"]

    with_services(scenario)


def test_while_its_install_runs_a_host_is_removed_by_force_alone(with_services: WithServices, site):
    async def scenario(services: BuiltServices) -> None:
        declared_by_commands(services, site)
        made = uses(services)
        await made.arming.arm(ArmRequest(["cp1"]))
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)

        actions = {each.verb: each for each in await made.actions.of("cp1")}

        removals = [actions[verb] for verb in (HostVerb.RETIRE, HostVerb.WIPE, HostVerb.REMOVE)]
        assert all(each.is_forcible for each in removals)
        for work in (made.changes.remove, made.changes.retire):
            assert await sentences(work(RemovalRequest("cp1")), TransitionError) == list(removals[0].reasons)

    with_services(scenario)


def test_a_host_that_a_person_declared_is_not_removed_and_the_place_is_named(with_services: WithServices, site):
    async def scenario(services: BuiltServices) -> None:
        (site.directory / "hosts.d").mkdir()
        site.write("hosts.yaml", "hosts: {cp1: {role: control-plane, mac: 52:54:00:aa:bb:01}}\n")
        services.change_host("cp1", declared_at="hosts.yaml:1:9")
        made = uses(services)

        refused = await made.refused("cp1")

        assert list(refused[HostVerb.REMOVE]) == await sentences(
            made.changes.remove(RemovalRequest("cp1")), HostFileError
        )

    with_services(scenario)


def test_a_file_that_a_person_edited_is_not_deleted(with_services: WithServices, site):
    async def scenario(services: BuiltServices) -> None:
        declared_by_commands(services, site)
        file = site.directory / "hosts.d" / "w1.yaml"
        file.write_text(file.read_text() + "# mine\n")
        made = uses(services)

        refused = await made.refused("w1")

        assert list(refused[HostVerb.RETIRE]) == await sentences(
            made.changes.retire(RemovalRequest("w1")), HostFileError
        )

    with_services(scenario)


def test_a_host_whose_disk_is_not_named_for_good_is_retired_but_not_wiped(with_services: WithServices, site):
    async def scenario(services: BuiltServices) -> None:
        declared_by_commands(services, site)
        services.change_host("w1", disk="/dev/sda")
        made = uses(services)

        refused = await made.refused("w1")

        assert HostVerb.RETIRE not in refused
        assert await sentences(made.once.prepare_wipe(W1), WipeRefusedError) == [
            *(f"cannot wipe the disk of w1: {reason}" for reason in refused[HostVerb.WIPE]),
            "nothing was changed",
        ]
        services.change_host("w1", disk=DiskRule(serial="S1"))
        assert HostVerb.WIPE not in await made.refused("w1")

    with_services(scenario)


def test_without_a_directory_for_commands_no_host_is_removed(with_services: WithServices, site):
    async def scenario(services: BuiltServices) -> None:
        site.write("other.yaml", "hosts: {files: [hosts.yaml]}\n")
        site.write("hosts.yaml", "hosts: {cp1: {role: control-plane, mac: 52:54:00:aa:bb:01}}\n")
        made = uses(services, "other.yaml")

        refused = await made.refused("cp1")

        assert list(refused[HostVerb.REMOVE]) == await sentences(
            made.changes.remove(RemovalRequest("cp1")), HostFileError
        )

    with_services(scenario)


@pytest.mark.parametrize("few", [0, 20])
def test_one_action_on_several_hosts_is_that_of_each(
    with_services: WithServices, site, monkeypatch: pytest.MonkeyPatch, few: int
):
    monkeypatch.setattr(host_arming, "FEW", few)

    async def scenario(services: BuiltServices) -> None:
        declared_by_commands(services, site)
        made = uses(services)
        await made.arming.arm(ArmRequest(["w1"]))
        for verb in HostVerb:
            together = [action for _, action in await made.actions.on(["w1", "cp1", "w1"], verb)]
            alone = [each for name in ("w1", "cp1") for each in await made.actions.of(name) if each.verb is verb]
            assert together == alone

    with_services(scenario)


def test_an_unknown_host_has_no_actions(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        with pytest.raises(UnknownHostError):
            await uses(services).actions.of("w9")
        with pytest.raises(UnknownHostError):
            await uses(services).actions.on(["w1", "w9"], HostVerb.ARM)

    with_services(scenario)
