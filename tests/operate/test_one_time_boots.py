"""What an operator lets a machine boot once: requested for all hosts or none, refused with every reason, withdrawn."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, UNKNOWN_MAC, BuiltServices, WithServices

from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import InspectionRefusedError, RescueRefusedError, UnknownHostError, WipeRefusedError
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.boot.offer import UnknownHosts
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import HostName
from netboot.model.install.inspection import OneTimeBoot
from netboot.model.install.wipe import Wipe, WipeState
from netboot.operate.one_time_boots import OneTimeBoots, RequestedMachine, RescueRequest, WithdrawnRequest
from netboot.operate.readiness import Readiness, ServerFacts

CP1 = HostName("cp1")
MEDIUM = "ol8u10-x86_64"
RULE = DiskRule(serial="S1")


def boots(services: BuiltServices, *machines: Machine) -> OneTimeBoots:
    async def discovered() -> Sequence[Machine]:
        return machines

    return OneTimeBoots(
        services.inspections,
        services.install_moves,
        services.event_bus,
        hosts=services.registry.hosts,
        discovered=discovered,
        readiness=lambda: Readiness(services.documents, services.policy, bootfiles=BootFiles([]), server=ServerFacts()),
        user=Actor("uid 0", Source.COMMAND),
        now=services.clock.now,
    )


async def refused(work: Any, error: type[Exception]) -> list[str]:
    with pytest.raises(error) as caught:
        await work
    return str(caught.value).splitlines()


async def requests(services: BuiltServices) -> dict[str, tuple[OneTimeBoot, str | None]]:
    found = (await services.inspections.all()).values()
    return {each.mac: (each.kind, each.requested_medium) for each in found if each.is_requested}


def test_hosts_are_rescued_with_their_own_medium_or_the_one_that_is_named(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        names = [host.name for host in services.hosts]
        found = await boots(services).rescue(RescueRequest(names))
        assert found == [RequestedMachine(host.name, host.macs, MEDIUM) for host in services.hosts]
        assert set((await requests(services)).values()) == {(OneTimeBoot.RESCUE, MEDIUM)}
        services.change_host("cp1", boot_media=None)
        services.use(policy=replace(services.policy, inspect_media=MEDIUM))
        assert [each.medium for each in await boots(services).rescue(RescueRequest(["cp1"]))] == [MEDIUM]
        (audit, *_) = [event.data for event in await services.events() if event.name == "audit.recorded"]
        assert (audit["action"], audit["subject"], audit["outcome"]) == ("rescue", ", ".join(names), "done")

    with_services(scenario)


def test_of_several_hosts_none_is_rescued_if_one_cannot_be(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await services.install_moves.arm_all([CP1], reason="first", attempts=2)
        names = [host.name for host in services.hosts]
        assert await refused(boots(services).rescue(RescueRequest(names)), RescueRefusedError) == [
            "cannot rescue cp1: it is armed, and a rescued disk must not be wiped; netboot install cancel cp1",
            "no rescue was requested",
        ]
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        await services.install_moves.cancel(CP1, reason="")
        assert await refused(boots(services).rescue(RescueRequest(["cp1"])), RescueRefusedError) == [
            "cannot rescue cp1: it is loading: its installer may be writing the disk; let it end",
            "no rescue was requested",
        ]
        assert await refused(boots(services).rescue(RescueRequest(["w9"])), UnknownHostError)
        assert await requests(services) == {}

    with_services(scenario)


def test_a_rescue_needs_a_medium_that_can_be_served(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        missing = await refused(boots(services).rescue(RescueRequest(["cp1"], "ol99")), RescueRefusedError)
        assert "ol99" in missing[0]
        services.change_host("cp1", boot_media=None)
        assert await refused(boots(services).rescue(RescueRequest(["cp1"])), RescueRefusedError) == [
            "cannot rescue cp1: no boot medium is named for it; set hosts.inspect_media",
            "no rescue was requested",
        ]

    with_services(scenario)


def test_a_rescue_is_withdrawn_and_stays_so(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await boots(services).rescue(RescueRequest(["cp1"]))
        cancelled = [await boots(services).cancel_rescue(["cp1", "cp1"]) for _ in range(2)]
        assert cancelled == [
            [WithdrawnRequest("cp1", "cp1 boots no rescue")],
            [WithdrawnRequest("cp1", "no rescue of cp1 was requested")],
        ]
        assert await requests(services) == {}

    with_services(scenario)


def test_an_inspection_does_not_replace_a_rescue_or_a_wipe(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        services.use(policy=replace(services.policy, unknown=UnknownHosts.WAIT, inspect_media=MEDIUM))
        now = services.clock.now()
        machine = Machine(UNKNOWN_MAC, now, now)
        await boots(services).rescue(RescueRequest(["cp1"]))
        await services.inspections.request_wipe(
            Wipe(HostName("old1"), (UNKNOWN_MAC,), RULE, WipeState.REQUESTED, now), MEDIUM
        )
        made = boots(services, machine)
        assert await refused(made.inspect("cp1"), InspectionRefusedError) == [
            "cannot inspect cp1: its rescue is requested; netboot host rescue cp1 --cancel first"
        ]
        assert await refused(made.inspect(MAC), InspectionRefusedError) == [
            f"cannot inspect {MAC}: its rescue is requested; netboot host rescue cp1 --cancel first"
        ]
        assert await refused(made.inspect(UNKNOWN_MAC), InspectionRefusedError) == [
            f"cannot inspect {UNKNOWN_MAC}: its wipe is requested; "
            f"netboot host retire {UNKNOWN_MAC} --cancel-wipe first"
        ]

    with_services(scenario)


def test_a_wipe_needs_a_medium_and_a_disk_with_a_stable_name(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        made = boots(services)
        services.change_host("cp1", disk="/dev/sda", boot_media=None)
        assert await refused(made.prepare_wipe(CP1), WipeRefusedError) == [
            "cannot wipe the disk of cp1: no boot medium is named for it; set hosts.inspect_media",
            "cannot wipe the disk of cp1: /dev/sda may be another disk when the machine boots next; "
            "set hosts.cp1.disk to its path below /dev/disk, or to a rule",
            "nothing was changed",
        ]
        services.change_host("cp1", disk=None, boot_media=MEDIUM)
        assert await refused(made.prepare_wipe(CP1), WipeRefusedError) == [
            "cannot wipe the disk of cp1: no disk is named for it; set hosts.cp1.disk",
            "nothing was changed",
        ]
        for disk in (RULE, "/dev/disk/by-path/pci-1"):
            services.change_host("cp1", disk=disk)
            prepared = await made.prepare_wipe(CP1)
            assert (prepared.wipe.disk, prepared.wipe.macs, prepared.medium) == (disk, (MAC,), MEDIUM)
            assert await requests(services) == {}

    with_services(scenario)


@pytest.mark.parametrize("name", ["cp1", MAC, MAC.upper()])
def test_a_wipe_is_cancelled_by_the_name_of_the_retired_host_or_a_mac(with_services: WithServices, name: str):
    async def scenario(services: BuiltServices) -> None:
        services.change_host("cp1", disk=RULE)
        made = boots(services)
        await made.request_wipe(await made.prepare_wipe(CP1))
        assert await requests(services) == {MAC: (OneTimeBoot.WIPE, MEDIUM)}
        cancelled = await made.cancel_wipe(name)
        assert cancelled.note == "the wipe of cp1 is cancelled: an operator cancelled it"
        assert await requests(services) == {}
        (again,) = await refused(made.cancel_wipe(name), UnknownHostError)
        assert again == f"no wipe of {name} is open; netboot host list --discovered shows wipes"

    with_services(scenario)
