"""What a machine is told before it holds a token, and what that moves."""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from fixtures.house import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    STRANGER_ADDRESS,
    STRANGER_MAC,
    House,
    InHouse,
)

from netboot.model.boot.boot_client import Arch
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, OfferKind, Policy, UnknownHosts, WaitPlan, WaitReason
from netboot.model.host.host import HostName, HostNetwork, HostSet
from netboot.model.install.install import InstallState

CP1 = HostName("cp1")


async def arm(house: House, *, attempts: int = 3) -> None:
    await house.book.arm(CP1, reason="test", attempts=attempts)


def test_an_armed_machine_that_announced_itself_gets_the_installer_once_a_boot(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)

        first = await house.desk.script_for(MAC, ADDRESS)
        again = await house.desk.script_for(MAC, ADDRESS)

        assert isinstance(first, InstallPlan)
        assert again == first
        install = await house.book.ask(CP1)
        assert install.state is InstallState.LOADING
        assert install.arming is not None
        assert install.arming.spent == 1

    in_house(scenario)


def test_a_loader_that_asks_twice_at_once_gets_one_script_and_spends_one_boot(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house, attempts=1)
        house.boots(FIRMWARE, IPXE)

        plans = await asyncio.gather(*(house.desk.script_for(MAC, ADDRESS) for _ in range(3)))

        assert [type(plan) for plan in plans] == [InstallPlan] * 3
        assert len(set(plans)) == 1
        assert (await house.book.ask(CP1)).arming.spent == 1  # type: ignore[union-attr]

    in_house(scenario)


def test_an_operator_reads_once_a_boot_why_a_machine_waits(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.desk.hosts.get("cp1").ignition.unlink()  # type: ignore[union-attr]
        for _ in range(2):
            house.clock.pass_(300)
            house.boots(FIRMWARE, IPXE)
            for _ in range(5):
                await house.desk.script_for(MAC, ADDRESS)

        assert (await house.event_names()).count("boot.script_held_back") == 2

    in_house(scenario)


def test_the_next_boot_spends_the_next_attempt_and_kills_the_tokens_of_the_last(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        first = await house.desk.script_for(MAC, ADDRESS)
        house.clock.pass_(300)
        house.boots(FIRMWARE, IPXE)

        second = await house.desk.script_for(MAC, ADDRESS)

        assert isinstance(first, InstallPlan)
        assert isinstance(second, InstallPlan)
        assert first.kickstart_token != second.kickstart_token
        install = await house.book.ask(CP1)
        assert install.arming is not None
        assert install.arming.spent == 2

    in_house(scenario)


def test_after_the_last_attempt_the_machine_is_led_to_its_disk_and_the_install_has_failed(in_house: InHouse):
    async def scenario(house: House) -> list[type]:
        await arm(house, attempts=2)
        plans = []
        for _ in range(4):
            house.boots(FIRMWARE, IPXE)
            plans.append(await house.desk.script_for(MAC, ADDRESS))
            house.clock.pass_(300)
        install = await house.book.ask(CP1)
        assert (install.state, install.is_armed) == (InstallState.FAILED, False)
        assert house.offer_desk.offer_for(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        return [type(plan) for plan in plans]

    assert in_house(scenario) == [InstallPlan, InstallPlan, LocalBootPlan, LocalBootPlan]


def test_a_curious_reader_sees_a_script_without_tokens_and_moves_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        before = await house.book.ask(CP1)

        plan = await house.desk.script_for(MAC, STRANGER_ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, house.desk.hosts.get("cp1"))
        assert await house.book.ask(CP1) == before

    in_house(scenario)


def test_an_announced_mac_asked_for_from_another_address_moves_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)

        plan = await house.desk.script_for(MAC, STRANGER_ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, house.desk.hosts.get("cp1"))
        assert (await house.book.ask(CP1)).arming.spent == 0  # type: ignore[union-attr]

    in_house(scenario)


def test_an_announcement_of_long_ago_counts_no_more(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        house.clock.pass_(3600)

        plan = await house.desk.script_for(MAC, ADDRESS)

        assert isinstance(plan, WaitPlan)
        assert plan.reason is WaitReason.NOT_ANNOUNCED

    in_house(scenario)


def test_a_look_moves_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)

        plan = await house.desk.script_for(MAC, ADDRESS, is_look=True)

        assert isinstance(plan, WaitPlan)
        assert (await house.book.ask(CP1)).arming.spent == 0  # type: ignore[union-attr]

    in_house(scenario)


def test_a_host_that_nobody_armed_is_led_to_its_disk_on_every_road(in_house: InHouse):
    async def scenario(house: House) -> None:
        house.boots(FIRMWARE, IPXE)

        assert house.offer_desk.offer_for(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert await house.desk.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, house.desk.hosts.get("cp1"))

    in_house(scenario)


def test_a_store_that_does_not_answer_makes_the_machine_wait_and_never_install(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        async with house.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")

        plan = await house.desk.script_for(MAC, ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.STORE_UNREACHABLE, house.desk.hosts.get("cp1"))
        assert house.offer_desk.offer_for(FIRMWARE).kind is OfferKind.LOADER  # type: ignore[union-attr]

    in_house(scenario)


def test_a_host_whose_documents_cannot_be_made_waits_and_spends_nothing(in_house: InHouse, hosts: object):
    async def scenario(house: House) -> None:
        await arm(house)
        role_file = house.desk.hosts.get("cp1").ignition  # type: ignore[union-attr]
        assert isinstance(role_file, Path)
        role_file.unlink()
        house.boots(FIRMWARE, IPXE)

        plan = await house.desk.script_for(MAC, ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_READY, house.desk.hosts.get("cp1"))
        assert (await house.book.ask(CP1)).arming.spent == 0  # type: ignore[union-attr]
        held_back = [event for event in await house.events() if event.name == "boot.script_held_back"]
        reason = str(held_back[0].data["reason"])
        assert reason.startswith("cannot read the Ignition of cp1: ")
        assert reason.endswith("No such file or directory; put it there, or correct roles.control-plane")

    in_house(scenario)


def test_where_unknown_machines_wait_their_script_says_so(in_house: InHouse):
    async def scenario(house: House) -> None:
        policy = Policy(UnknownHosts.WAIT, house.desk.policy.loaders)
        house.desk.use(house.desk.hosts, policy, documents=house.desk.documents, bootfiles=house.desk.bootfiles)
        stranger = replace(FIRMWARE, mac=STRANGER_MAC)
        house.boots(stranger)

        assert house.offer_desk.offer_for(stranger).kind is OfferKind.LOADER  # type: ignore[union-attr]
        plan = await house.desk.script_for(STRANGER_MAC, ADDRESS)
        assert plan == WaitPlan(STRANGER_MAC, WaitReason.UNKNOWN_HOST)
        assert "systemctl reload netboot" in house.desk.documents.ipxe(plan, base_url="http://192.0.2.10:8080")

    in_house(scenario)


def test_a_request_from_another_address_takes_no_step_and_is_recorded_as_refused(in_house: InHouse):
    async def scenario(house: House) -> list[tuple[str, str | None, object]]:
        house.boots(replace(FIRMWARE, arch=Arch.X86_BIOS))
        for _ in range(50):
            await house.desk.script_for(MAC, STRANGER_ADDRESS)
            await house.desk.script_for(MAC, STRANGER_ADDRESS, is_look=True)
        await house.desk.script_for(MAC, ADDRESS)
        house.clock.pass_(61)
        return [(event.name, event.step, event.data.get("count")) for event in (await house.events())[1:]]

    assert in_house(scenario) == [
        ("boot.request_refused", None, None),
        ("boot.script_served", "local-boot", None),
        ("boot.request_refused", None, 99),
    ]


def test_a_script_requested_by_another_machine_of_the_rack_is_refused_though_the_wire_shows_that_machine(
    in_house: InHouse,
):
    async def scenario(house: House) -> list[str]:
        house.boots(replace(FIRMWARE, mac=OTHER_MAC), address=OTHER_ADDRESS)
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        plan = await house.desk.script_for(MAC, OTHER_ADDRESS)
        assert isinstance(plan, WaitPlan)
        assert house.desk.seen.get(MAC).trace.reached_script is False  # type: ignore[union-attr]
        return [event.name for event in await house.events() if event.host == "cp1"][-1:]

    assert in_house(scenario) == ["boot.request_refused"]


def test_a_forged_request_keeps_no_loader_alive(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE)
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0, "outcome": "sent"}
        house.file_desk.loader_for(ADDRESS, "snponly.efi")
        house.file_desk.loader_sent(ADDRESS, "snponly.efi", **sent)  # type: ignore[arg-type]
        seen = house.desk.seen.get(MAC)
        assert seen is not None
        shown_s = seen.loader_shown_s

        house.clock.pass_(30)
        await house.desk.script_for(MAC, STRANGER_ADDRESS)

        assert seen.loader_shown_s == shown_s

    in_house(scenario)


def test_a_machine_at_its_registered_address_that_the_wire_never_showed_waits_and_its_operator_reads_why(
    in_house: InHouse,
):
    async def scenario(house: House) -> list[tuple[str, object, object]]:
        give_address(house, "cp1", ADDRESS)
        await arm(house)
        for _ in range(3):
            plan = await house.desk.script_for(MAC, ADDRESS)
            assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, house.desk.hosts.get("cp1"))
        return [(event.name, event.host, event.data.get("reason")) for event in (await house.events())[1:]]

    assert in_house(scenario) == [("boot.script_served", "cp1", "not-announced")]


def test_why_a_machine_waits_is_recorded_again_under_a_new_arming(in_house: InHouse):
    async def scenario(house: House) -> None:
        house.desk.hosts.get("cp1").ignition.unlink()  # type: ignore[union-attr]
        house.boots(FIRMWARE, IPXE)
        for _ in range(2):
            house.clock.pass_(1)
            await arm(house)
            await house.desk.script_for(MAC, ADDRESS)
            await house.desk.script_for(MAC, ADDRESS)

        assert (await house.event_names()).count("boot.script_held_back") == 2

    in_house(scenario)


def test_an_address_that_the_registry_gives_to_a_host_is_no_unregistered_machines(in_house: InHouse):
    async def scenario(house: House) -> None:
        give_address(house, "w1", OTHER_ADDRESS)
        house.boots(replace(FIRMWARE, mac=STRANGER_MAC), address=OTHER_ADDRESS)
        w1 = house.desk.hosts.get("w1")
        assert w1 is not None

        assert house.desk.is_at(w1, OTHER_ADDRESS)
        assert house.desk.machine_at(OTHER_ADDRESS) == (house.desk.seen.get(OTHER_MAC), w1)
        assert house.desk.requester(STRANGER_MAC, None, OTHER_ADDRESS) is None

    in_house(scenario)


def test_a_host_that_leased_an_address_which_the_registry_gives_to_another_host_boots_from_it(in_house: InHouse):
    async def scenario(house: House) -> None:
        give_address(house, "w1", OTHER_ADDRESS)
        await arm(house)
        house.boots(FIRMWARE, IPXE, address=OTHER_ADDRESS)

        assert house.desk.machine_at(OTHER_ADDRESS) == (house.desk.seen.get(MAC), house.desk.hosts.get("cp1"))
        assert isinstance(await house.desk.script_for(MAC, OTHER_ADDRESS), InstallPlan)

    in_house(scenario)


def test_the_timeline_has_one_line_for_a_script_that_is_requested_again(in_house: InHouse):
    async def scenario(house: House) -> list[str | None]:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        for _ in range(5):
            await house.desk.script_for(MAC, ADDRESS)
        return [event.step for event in await house.events() if event.name == "boot.script_served"]

    assert in_house(scenario) == ["script"]


def test_a_store_that_fails_is_logged_once_a_boot_however_often_and_whoever_requests_the_script(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        async with house.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")
        for address in (ADDRESS, STRANGER_ADDRESS) * 20:
            await house.desk.script_for(MAC, address)

        names = await house.event_names()
        assert (names.count("boot.script_held_back"), names.count("boot.script_served")) == (1, 1)

    in_house(scenario)


def give_address(house: House, name: str, address: IPv4Address) -> None:
    """Register a static address for a host."""
    network = HostNetwork(IPv4Interface(f"{address}/24"))
    hosts = [replace(host, network=network) if host.name == name else host for host in house.desk.hosts]
    registry = HostSet.of(house.desk.hosts.cluster, hosts)
    house.desk.use(registry, house.desk.policy, documents=house.desk.documents, bootfiles=house.desk.bootfiles)
