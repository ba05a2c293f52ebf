"""`dhcp.mode: off`: no DHCP request announces a machine; a request from its registered address does, and no other."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest
from fixtures.house import ADDRESS, FIRMWARE, MAC, OTHER_MAC, STRANGER_ADDRESS, House, InHouse

from netboot.boot.token_documents import Report
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, WaitPlan, WaitReason
from netboot.model.boot.reasons import explain
from netboot.model.host.host import HostName, HostNetwork, HostSet
from netboot.model.install.event import Event
from netboot.model.install.install import InstallState

CP1 = HostName("cp1")
REGISTERED = IPv4Address("192.0.2.101")


def switch_dhcp_off(house: House, *, has_address: bool = True) -> None:
    desk = house.desk
    network = HostNetwork(IPv4Interface(f"{REGISTERED}/24")) if has_address else None
    hosts = [replace(host, network=network) if host.name == CP1 else host for host in desk.hosts]
    desk.use(
        HostSet.of(desk.hosts.cluster, hosts),
        replace(desk.policy, address_announces=True),
        documents=desk.documents,
        bootfiles=desk.bootfiles,
    )


async def arm(house: House, *, attempts: int = 3) -> None:
    await house.book.arm(CP1, reason="test", attempts=attempts)


async def spent(house: House) -> int:
    arming = (await house.book.ask(CP1)).arming
    assert arming is not None
    return arming.spent


def test_a_request_from_the_registered_address_gets_the_installer_and_the_same_again(in_house: InHouse):
    async def scenario(house: House) -> None:
        switch_dhcp_off(house)
        await arm(house)

        first = await house.desk.script_for(MAC, REGISTERED)
        house.clock.pass_(20)
        again = await house.desk.script_for(MAC, REGISTERED)

        assert isinstance(first, InstallPlan)
        assert again == first
        assert await spent(house) == 1

    in_house(scenario)


@pytest.mark.parametrize("address", [STRANGER_ADDRESS, ADDRESS])
def test_no_other_address_does_not_even_one_that_the_wire_showed_for_the_machine(
    in_house: InHouse, address: IPv4Address
):
    async def scenario(house: House) -> None:
        house.offer_desk.offer_for(FIRMWARE)
        house.offer_desk.saw_address(MAC, ADDRESS, exchange=0)
        house.clock.pass_(3600)
        switch_dhcp_off(house)
        await arm(house)

        plan = await house.desk.script_for(MAC, address)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, house.desk.hosts.hosts[CP1])
        assert await spent(house) == 0

    in_house(scenario)


def test_a_host_without_a_registered_address_and_another_hosts_script_get_nothing(in_house: InHouse):
    async def scenario(house: House) -> list[type]:
        switch_dhcp_off(house, has_address=False)
        await arm(house)
        nobody = await house.desk.script_for(MAC, REGISTERED)
        switch_dhcp_off(house)
        await house.book.arm(HostName("w1"), reason="test", attempts=3)
        other = await house.desk.script_for(OTHER_MAC, REGISTERED)
        return [type(nobody), type(other)]

    assert in_house(scenario) == [WaitPlan, WaitPlan]


def test_with_dhcp_a_registered_address_alone_announces_nothing_and_the_operator_reads_why(in_house: InHouse):
    async def scenario(house: House) -> None:
        switch_dhcp_off(house)
        house.desk.policy = replace(house.desk.policy, address_announces=False)
        await arm(house)

        plan = await house.desk.script_for(MAC, REGISTERED)

        assert isinstance(plan, WaitPlan)
        event = (await house.events())[-1]
        assert (event.name, event.data["plan"], event.data["reason"]) == (
            "boot.script_served",
            "wait",
            "not-announced",
        )

    in_house(scenario)


def test_a_pause_is_another_boot_which_spends_an_attempt_and_the_last_one_is_the_last(in_house: InHouse):
    async def scenario(house: House) -> list[type]:
        switch_dhcp_off(house)
        await arm(house, attempts=2)
        plans = []
        for _ in range(3):
            plans.append(await house.desk.script_for(MAC, REGISTERED))
            house.clock.pass_(300)
        install = await house.book.ask(CP1)
        assert (install.state, install.is_armed) == (InstallState.FAILED, False)
        return [type(plan) for plan in plans]

    assert in_house(scenario) == [InstallPlan, InstallPlan, LocalBootPlan]


def test_a_machine_started_again_at_once_while_it_installed_gets_new_tokens(in_house: InHouse):
    async def scenario(house: House) -> None:
        switch_dhcp_off(house)
        await arm(house)
        first = await house.desk.script_for(MAC, REGISTERED)
        report = (await house.book.ask(CP1)).tokens.report
        assert await house.token_desk.report(report, Report.STARTED, address=REGISTERED) is None
        house.clock.pass_(10)

        second = await house.desk.script_for(MAC, REGISTERED)

        assert isinstance(first, InstallPlan)
        assert isinstance(second, InstallPlan)
        assert second.kickstart_token != first.kickstart_token
        assert await spent(house) == 2

    in_house(scenario)


def test_an_installed_host_boots_its_disk(in_house: InHouse):
    async def scenario(house: House) -> None:
        switch_dhcp_off(house)
        await arm(house)
        await house.desk.script_for(MAC, REGISTERED)
        report = (await house.book.ask(CP1)).tokens.report
        for each in (Report.STARTED, Report.DONE):
            assert await house.token_desk.report(report, each, address=REGISTERED) is None

        assert isinstance(await house.desk.script_for(MAC, REGISTERED), LocalBootPlan)

    in_house(scenario)


def test_an_operator_reads_that_a_host_without_a_registered_address_cannot_be_identified(in_house: InHouse):
    async def scenario(house: House) -> Event:
        switch_dhcp_off(house, has_address=False)
        await arm(house)
        await house.desk.script_for(MAC, REGISTERED)
        return (await house.events())[-1]

    event = in_house(scenario)

    assert (event.name, event.data["reason"]) == ("boot.request_refused", "no-registered-address")
    assert str(explain(event.name, event.data, host="cp1")) == (
        "the script of cp1 was requested from 192.0.2.101, and cp1 cannot be identified with dhcp.mode: off; "
        "if 192.0.2.101 is its address, set hosts.cp1.network.address to it"
    )
