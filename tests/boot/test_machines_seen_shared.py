"""What another appliance on the store saw of a machine is taken over: addresses, what was learned, its requests."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
from fixtures.appliance import OnOneStore
from fixtures.services import (
    ADDRESS,
    FIRMWARE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.boot.firmware.learning_states import Learned, LearningState
from netboot.boot.sessions.machines_seen import ANNOUNCED_S, SeenMachine, SeenMachines
from netboot.model.boot.boot_client import Machine
from netboot.model.clock import Clock
from netboot.model.host.firmware import BootVariant
from netboot.model.host.mac import Mac

VARIANT = BootVariant.parse("with-43 snponly.efi")


async def follow(here: BuiltServices, there: BuiltServices, macs: list[str] | None = None) -> None:
    await there.machines.flush()
    await here.seen.read_changed(macs)


def owner(box: BuiltServices, address: IPv4Address) -> Mac | None:
    seen = box.seen.by_address(address)
    return seen and seen.mac


def seen(box: BuiltServices, mac: Mac = MAC) -> SeenMachine:
    found = box.seen.get(mac)
    assert found is not None
    return found


def test_the_addresses_of_a_machine_move_as_the_other_appliance_saw_them_move(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        first.seen.give_address(MAC, ADDRESS)
        first.seen.give_address(UNKNOWN_MAC, UNKNOWN_ADDRESS)
        await follow(second, first)
        assert [owner(second, each) for each in (ADDRESS, UNKNOWN_ADDRESS)] == [MAC, UNKNOWN_MAC]
        second.seen.give_address(OTHER_MAC, OTHER_ADDRESS)

        first.seen.free_address(UNKNOWN_ADDRESS)
        first.seen.give_address(MAC, OTHER_ADDRESS)
        first.seen.give_address(UNKNOWN_MAC, ADDRESS)
        await follow(second, first)

        moved = (UNKNOWN_MAC, MAC, None)
        for box in (first, second):
            assert tuple(owner(box, each) for each in (ADDRESS, OTHER_ADDRESS, UNKNOWN_ADDRESS)) == moved
        assert (seen(second).machine.addresses, seen(second, OTHER_MAC).machine.addresses) == ((OTHER_ADDRESS,), ())
        assert seen(second, UNKNOWN_MAC).machine == seen(first, UNKNOWN_MAC).machine

    on_one_store(scenario)


def test_only_the_named_machines_are_read(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> list[bool]:
        first.seen.give_address(MAC, ADDRESS)
        first.seen.give_address(OTHER_MAC, OTHER_ADDRESS)
        await follow(second, first, [MAC])
        return [second.seen.get(mac) is not None for mac in (MAC, OTHER_MAC)]

    assert on_one_store(scenario) == [True, False]


def test_a_variant_that_the_other_appliance_learned_replaces_what_is_known_of_that_firmware_alone(
    on_one_store: OnOneStore,
):
    async def scenario(first: BuiltServices, second: BuiltServices) -> dict[str, Learned]:
        for box in (first, second):
            box.boots(FIRMWARE)
        await follow(second, first)
        here, there = seen(second), seen(first)
        here.learned = {"pxe/x64": Learned(), "http/x64": Learned(LearningState.RESTING)}
        first.seen.keep(there, replace(there.machine, variants={"pxe/x64": str(VARIANT)}))
        await follow(second, first)
        return here.learned | {"pxe/x64": here.learned_of(FIRMWARE)}

    assert on_one_store(scenario) == {
        "pxe/x64": Learned(LearningState.VERIFIED, VARIANT),
        "http/x64": Learned(LearningState.RESTING),
    }


@pytest.mark.parametrize(("ago_s", "is_announced"), [(ANNOUNCED_S - 1, True), (ANNOUNCED_S + 1, False)])
def test_a_boot_that_only_the_other_appliance_received_is_announced_here_for_as_long(
    on_one_store: OnOneStore, ago_s: float, is_announced: bool
):
    async def scenario(first: BuiltServices, second: BuiltServices) -> list[bool]:
        first.boots(FIRMWARE)
        first.seen.give_address(OTHER_MAC, OTHER_ADDRESS)
        first.clock.pass_(ago_s)
        await follow(second, first)
        return [seen(second, mac).is_announced(second.clock.monotonic()) for mac in (MAC, OTHER_MAC)]

    assert on_one_store(scenario) == [is_announced, False]


def test_of_two_stored_machines_with_one_address_the_one_that_was_seen_last_has_it(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        now = services.clock.now()
        before = Machine(MAC, now, now, addresses=(OTHER_ADDRESS, ADDRESS))
        after = Machine(UNKNOWN_MAC, now, now + timedelta(seconds=1), addresses=(ADDRESS,))
        for machine in (before, after):
            services.machines.keep(machine)
        await services.machines.flush()
        restarted = SeenMachines(
            await services.machines.all(),
            store=services.machines,
            recorder=services.boot_recorder,
            hosts=services.registry.hosts,
            clock=Clock(services.clock.now, services.clock.monotonic, services.clock.random_bytes),
        )
        await services.machines.flush()
        owners = [found and found.mac for found in map(restarted.by_address, (ADDRESS, OTHER_ADDRESS))]
        return owners, (await services.machines.all())[MAC].addresses

    assert with_services(scenario) == ([UNKNOWN_MAC, MAC], (OTHER_ADDRESS,))
