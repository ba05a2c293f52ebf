"""`dhcp.mode: off`: no DHCP request announces a machine; a request from its registered address does, and no other."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest
from fixtures.services import ADDRESS, FIRMWARE, MAC, OTHER_MAC, UNKNOWN_ADDRESS, BuiltServices, WithServices

from netboot.boot.token_documents import Report
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, WaitPlan, WaitReason
from netboot.model.boot.reasons import explain
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.host_network import BY_DHCP, HostNetwork
from netboot.model.install.event import Event
from netboot.model.install.install import InstallState

CP1 = HostName("cp1")
REGISTERED = IPv4Address("192.0.2.101")


def switch_dhcp_off(services: BuiltServices, *, has_address: bool = True) -> None:
    network = HostNetwork(IPv4Interface(f"{REGISTERED}/24")) if has_address else BY_DHCP
    hosts = [replace(host, network=network) if host.name == CP1 else host for host in services.hosts]
    services.use(
        hosts=HostSet.of(services.hosts.cluster, hosts), policy=replace(services.policy, address_announces=True)
    )


async def arm(services: BuiltServices, *, attempts: int = 3) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=attempts)


async def spent(services: BuiltServices) -> int:
    arming = (await services.install_moves.read(CP1)).arming
    assert arming is not None
    return arming.spent


def test_a_request_from_the_registered_address_gets_the_installer_and_the_same_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        switch_dhcp_off(services)
        await arm(services)

        first = await services.script_for(MAC, REGISTERED)
        services.clock.pass_(20)
        again = await services.script_for(MAC, REGISTERED)

        assert isinstance(first, InstallPlan)
        assert again == first
        assert await spent(services) == 1

    with_services(scenario)


@pytest.mark.parametrize("address", [UNKNOWN_ADDRESS, ADDRESS])
def test_no_other_address_does_not_even_one_that_the_wire_showed_for_the_machine(
    with_services: WithServices, address: IPv4Address
):
    async def scenario(services: BuiltServices) -> None:
        services.offer(FIRMWARE)
        services.offer_service.record_address(MAC, ADDRESS, exchange=0)
        services.clock.pass_(3600)
        switch_dhcp_off(services)
        await arm(services)

        plan = await services.script_for(MAC, address)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, services.hosts.hosts[CP1])
        assert await spent(services) == 0

    with_services(scenario)


def test_a_host_without_a_registered_address_and_another_hosts_script_get_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[type]:
        switch_dhcp_off(services, has_address=False)
        await arm(services)
        nobody = await services.script_for(MAC, REGISTERED)
        switch_dhcp_off(services)
        await services.install_moves.arm_all([HostName("w1")], reason="test", attempts=3)
        other = await services.script_for(OTHER_MAC, REGISTERED)
        return [type(nobody), type(other)]

    assert with_services(scenario) == [WaitPlan, WaitPlan]


def test_with_dhcp_a_registered_address_alone_announces_nothing_and_the_operator_reads_why(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        switch_dhcp_off(services)
        services.use(policy=replace(services.policy, address_announces=False))
        await arm(services)

        plan = await services.script_for(MAC, REGISTERED)

        assert isinstance(plan, WaitPlan)
        event = (await services.events())[-1]
        assert (event.name, event.data["plan"], event.data["reason"]) == (
            "boot.script_served",
            "wait",
            "not-announced",
        )

    with_services(scenario)


def test_a_pause_is_another_boot_which_spends_an_attempt_and_the_last_one_is_the_last(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[type]:
        switch_dhcp_off(services)
        await arm(services, attempts=2)
        plans = []
        for _ in range(3):
            plans.append(await services.script_for(MAC, REGISTERED))
            services.clock.pass_(300)
        install = await services.install_moves.read(CP1)
        assert (install.state, install.is_armed) == (InstallState.FAILED, False)
        return [type(plan) for plan in plans]

    assert with_services(scenario) == [InstallPlan, InstallPlan, LocalBootPlan]


def test_a_machine_started_again_at_once_while_it_installed_gets_new_tokens(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        switch_dhcp_off(services)
        await arm(services)
        first = await services.script_for(MAC, REGISTERED)
        report = (await services.install_moves.read(CP1)).tokens.report
        assert await services.document_service.report(report, Report.STARTED, address=REGISTERED) is None
        services.clock.pass_(10)

        second = await services.script_for(MAC, REGISTERED)

        assert isinstance(first, InstallPlan)
        assert isinstance(second, InstallPlan)
        assert second.kickstart_token != first.kickstart_token
        assert await spent(services) == 2

    with_services(scenario)


def test_an_installed_host_boots_its_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        switch_dhcp_off(services)
        await arm(services)
        await services.script_for(MAC, REGISTERED)
        report = (await services.install_moves.read(CP1)).tokens.report
        for each in (Report.STARTED, Report.DONE):
            assert await services.document_service.report(report, each, address=REGISTERED) is None

        assert isinstance(await services.script_for(MAC, REGISTERED), LocalBootPlan)

    with_services(scenario)


def test_an_operator_reads_that_a_host_without_a_registered_address_cannot_be_identified(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Event:
        switch_dhcp_off(services, has_address=False)
        await arm(services)
        await services.script_for(MAC, REGISTERED)
        return (await services.events())[-1]

    event = with_services(scenario)

    assert (event.name, event.data["reason"]) == ("boot.request_refused", "no-registered-address")
    assert str(explain(event.name, event.data, host="cp1")) == (
        "the script of cp1 was requested from 192.0.2.101, and cp1 cannot be identified with dhcp.mode: off; "
        "if 192.0.2.101 is its address, set hosts.cp1.network.address to it"
    )
