"""One boot of a machine whose script is requested at two appliances on one store."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, OTHER_MAC, BuiltServices

from netboot.model.boot.offer import InstallPlan, LocalBootPlan
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

Scenario = Callable[[BuiltServices, BuiltServices], Coroutine[Any, Any, Any]]
OnOneStore = Callable[[Scenario], Any]
CP1 = HostName("cp1")
UNUSED_MAC = Mac("52:54:00:aa:bb:77")


async def arm(services: BuiltServices, attempts: int) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=attempts)


async def read(*boxes: BuiltServices) -> None:
    """Let each appliance read what the other one changed."""
    for box in boxes:
        await box.install_moves.read_changed(None)


def boots(*boxes: BuiltServices, exchange: int) -> None:
    """Let a machine boot; each of these appliances receives its broadcasts."""
    for box in boxes:
        box.boots(replace(FIRMWARE, exchange=exchange), replace(IPXE, exchange=exchange + 1))


async def token(box: BuiltServices) -> str:
    plan = await box.script_for(MAC, ADDRESS)
    assert isinstance(plan, InstallPlan), plan
    return plan.kickstart_token


async def spent(box: BuiltServices) -> int:
    install = await box.install_moves.read(CP1)
    assert install.arming is not None
    return install.arming.spent


def test_the_same_boot_gets_the_same_script_at_either_appliance_and_spends_one_boot(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        await arm(first, attempts=1)
        await read(second)
        boots(first, second, exchange=7)
        first.clock.pass_(4)

        served = await token(first)
        first.clock.pass_(40)

        assert [await token(second), await token(first), await token(second)] == [served] * 3
        assert await spent(second) == 1

    on_one_store(scenario)


@pytest.mark.parametrize("exchange", [7, 9], ids=["firmware with one exchange id for all its boots", "another id"])
def test_another_boot_gets_other_tokens_at_either_appliance(on_one_store: OnOneStore, exchange: int):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        await arm(first, attempts=2)
        await read(second)
        boots(first, second, exchange=7)
        served = await token(first)
        first.clock.pass_(20)
        boots(first, second, exchange=exchange)

        again = await token(second)

        assert again != served
        assert await token(first) == again
        assert await spent(first) == 2

    on_one_store(scenario)


def test_a_boot_that_only_the_other_appliance_received_is_another_one(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        await arm(first, attempts=1)
        await read(second)
        boots(first, second, exchange=7)
        await token(first)
        first.clock.pass_(20)
        boots(second, exchange=9)

        assert isinstance(await second.script_for(MAC, ADDRESS), LocalBootPlan)

    on_one_store(scenario)


def test_a_boot_of_another_arming_gets_other_tokens(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        await arm(first, attempts=1)
        await read(second)
        boots(first, second, exchange=7)
        served = await token(first)
        await first.install_moves.cancel(CP1, reason="test")
        await arm(first, attempts=1)

        assert await token(second) != served
        assert await spent(first) == 1

    on_one_store(scenario)


def test_another_card_of_the_host_gets_no_tokens_of_the_boot_of_the_first(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        for box in (first, second):
            box.change_host("w1", macs=(UNUSED_MAC,))
            box.change_host("cp1", macs=(MAC, OTHER_MAC))
        await arm(first, attempts=2)
        await read(second)
        boots(first, second, exchange=7)
        served = await token(first)
        for box in (first, second):
            box.boots(replace(FIRMWARE, mac=OTHER_MAC, exchange=7), replace(IPXE, mac=OTHER_MAC, exchange=8))

        plan = await second.script_for(OTHER_MAC, ADDRESS)

        assert isinstance(plan, InstallPlan)
        assert plan.kickstart_token != served
        assert await spent(first) == 2

    on_one_store(scenario)
