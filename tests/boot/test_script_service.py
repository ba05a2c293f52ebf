"""The replies to a machine without a token, and the state that they change."""

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from fixtures.services import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.model.boot.boot_client import Arch
from netboot.model.boot.offer import (
    InstallPlan,
    LocalBootPlan,
    OfferKind,
    Policy,
    ScriptLanguage,
    UnknownHosts,
    WaitPlan,
    WaitReason,
)
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.host_network import HostNetwork
from netboot.model.install.install import InstallState

CP1 = HostName("cp1")


async def arm(services: BuiltServices, *, attempts: int = 3) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=attempts)


def test_an_armed_machine_that_announced_itself_gets_the_installer_once_a_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)

        first = await services.script_for(MAC, ADDRESS)
        again = await services.script_for(MAC, ADDRESS)

        assert isinstance(first, InstallPlan)
        assert again == first
        install = await services.install_moves.read(CP1)
        assert install.state is InstallState.LOADING
        assert install.arming is not None
        assert install.arming.spent == 1

    with_services(scenario)


def test_a_loader_that_sends_two_requests_at_once_gets_one_script_and_spends_one_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services, attempts=1)
        services.boots(FIRMWARE, IPXE)

        plans = await asyncio.gather(*(services.script_for(MAC, ADDRESS) for _ in range(3)))

        assert [type(plan) for plan in plans] == [InstallPlan] * 3
        assert len(set(plans)) == 1
        assert (await services.install_moves.read(CP1)).arming.spent == 1  # type: ignore[union-attr]

    with_services(scenario)


def test_an_operator_reads_once_a_boot_why_a_machine_waits(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.hosts.get("cp1").ignition.unlink()  # type: ignore[union-attr]
        for _ in range(2):
            services.clock.pass_(300)
            services.boots(FIRMWARE, IPXE)
            for _ in range(5):
                await services.script_for(MAC, ADDRESS)

        assert (await services.event_names()).count("boot.script_held_back") == 2

    with_services(scenario)


def test_the_next_boot_spends_the_next_attempt_and_kills_the_tokens_of_the_last(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        first = await services.script_for(MAC, ADDRESS)
        services.clock.pass_(300)
        services.boots(FIRMWARE, IPXE)

        second = await services.script_for(MAC, ADDRESS)

        assert isinstance(first, InstallPlan)
        assert isinstance(second, InstallPlan)
        assert first.kickstart_token != second.kickstart_token
        install = await services.install_moves.read(CP1)
        assert install.arming is not None
        assert install.arming.spent == 2

    with_services(scenario)


def test_after_the_last_attempt_the_machine_is_led_to_its_disk_and_the_install_has_failed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[type]:
        await arm(services, attempts=2)
        plans = []
        for _ in range(4):
            services.boots(FIRMWARE, IPXE)
            plans.append(await services.script_for(MAC, ADDRESS))
            services.clock.pass_(300)
        install = await services.install_moves.read(CP1)
        assert (install.state, install.is_armed) == (InstallState.FAILED, False)
        assert services.offer(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        return [type(plan) for plan in plans]

    assert with_services(scenario) == [InstallPlan, InstallPlan, LocalBootPlan, LocalBootPlan]


def test_a_curious_reader_sees_a_script_without_tokens_and_moves_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        before = await services.install_moves.read(CP1)

        plan = await services.script_for(MAC, UNKNOWN_ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, services.hosts.get("cp1"))
        assert await services.install_moves.read(CP1) == before

    with_services(scenario)


def test_a_script_request_from_another_address_changes_nothing_for_an_announced_mac(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)

        plan = await services.script_for(MAC, UNKNOWN_ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, services.hosts.get("cp1"))
        assert (await services.install_moves.read(CP1)).arming.spent == 0  # type: ignore[union-attr]

    with_services(scenario)


def test_an_announcement_of_long_ago_counts_no_more(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        services.clock.pass_(3600)

        plan = await services.script_for(MAC, ADDRESS)

        assert isinstance(plan, WaitPlan)
        assert plan.reason is WaitReason.NOT_ANNOUNCED

    with_services(scenario)


def test_a_head_request_changes_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)

        plan = await services.script_for(MAC, ADDRESS, is_head=True)

        assert isinstance(plan, WaitPlan)
        assert (await services.install_moves.read(CP1)).arming.spent == 0  # type: ignore[union-attr]

    with_services(scenario)


def test_an_unarmed_host_is_led_to_its_disk_on_every_path(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        services.boots(FIRMWARE, IPXE)

        assert services.offer(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert await services.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, services.hosts.get("cp1"))

    with_services(scenario)


def test_a_store_that_does_not_answer_makes_the_machine_wait_and_never_install(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        async with services.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")

        plan = await services.script_for(MAC, ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.STORE_UNREACHABLE, services.hosts.get("cp1"))
        assert services.offer(FIRMWARE).kind is OfferKind.LOADER  # type: ignore[union-attr]

    with_services(scenario)


def test_a_host_that_is_not_armed_boots_its_disk_while_the_store_does_not_answer(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        armed, other = services.hosts.get("cp1"), services.hosts.get("w1")
        async with services.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")

        plans = [await services.script_for(mac, ADDRESS) for mac in (MAC, OTHER_MAC)]

        assert plans == [WaitPlan(MAC, WaitReason.STORE_UNREACHABLE, armed), LocalBootPlan(OTHER_MAC, other)]

    with_services(scenario)


def test_a_host_whose_documents_cannot_be_made_waits_and_spends_nothing(with_services: WithServices, hosts: object):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        role_file = services.hosts.get("cp1").ignition  # type: ignore[union-attr]
        assert isinstance(role_file, Path)
        role_file.unlink()
        services.boots(FIRMWARE, IPXE)

        plan = await services.script_for(MAC, ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_READY, services.hosts.get("cp1"))
        assert (await services.install_moves.read(CP1)).arming.spent == 0  # type: ignore[union-attr]
        held_back = [event for event in await services.events() if event.name == "boot.script_held_back"]
        reason = str(held_back[0].data["reason"])
        assert reason.startswith("cannot read the Ignition of cp1: ")
        cure = "put it there, let netboot cluster rollout make it, or correct roles.control-plane"
        assert reason.endswith(f"No such file or directory; {cure}")

    with_services(scenario)


def test_where_unknown_machines_wait_their_script_says_so(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        policy = Policy(UnknownHosts.WAIT, services.policy.loaders)
        services.use(policy=policy)
        unregistered = replace(FIRMWARE, mac=UNKNOWN_MAC)
        services.boots(unregistered)

        assert services.offer(unregistered).kind is OfferKind.LOADER  # type: ignore[union-attr]
        plan = await services.script_for(UNKNOWN_MAC, ADDRESS)
        assert plan == WaitPlan(UNKNOWN_MAC, WaitReason.UNKNOWN_HOST)
        assert "systemctl reload netboot" in services.documents.script(
            plan, ScriptLanguage.IPXE, base_url="http://192.0.2.10:8080"
        )

    with_services(scenario)


def test_a_request_from_another_address_takes_no_step_and_is_recorded_as_refused(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[tuple[str, str | None, object]]:
        services.boots(replace(FIRMWARE, arch=Arch.X86_BIOS))
        for _ in range(50):
            await services.script_for(MAC, UNKNOWN_ADDRESS)
            await services.script_for(MAC, UNKNOWN_ADDRESS, is_head=True)
        await services.script_for(MAC, ADDRESS)
        services.clock.pass_(61)
        return [(event.name, event.step, event.data.get("count")) for event in (await services.events())[1:]]

    assert with_services(scenario) == [
        ("boot.request_refused", None, None),
        ("boot.script_served", "local-boot", None),
        ("boot.request_refused", None, 99),
    ]


def test_a_script_requested_by_another_machine_of_the_rack_is_refused_though_the_wire_shows_that_machine(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> list[str]:
        services.boots(replace(FIRMWARE, mac=OTHER_MAC), address=OTHER_ADDRESS)
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        plan = await services.script_for(MAC, OTHER_ADDRESS)
        assert isinstance(plan, WaitPlan)
        assert services.seen.get(MAC).boot.trace.reached_script is False  # type: ignore[union-attr]
        return [event.name for event in await services.events() if event.host == "cp1"][-1:]

    assert with_services(scenario) == ["boot.request_refused"]


def test_a_forged_request_keeps_no_loader_alive(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE)
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0, "outcome": "sent"}
        services.file_service.request_file(ADDRESS, "snponly.efi")
        services.file_service.record_loader(ADDRESS, "snponly.efi", **sent)  # type: ignore[arg-type]
        seen = services.seen.get(MAC)
        assert seen is not None
        shown_s = seen.loader_shown_s

        services.clock.pass_(30)
        await services.script_for(MAC, UNKNOWN_ADDRESS)

        assert seen.loader_shown_s == shown_s

    with_services(scenario)


def test_a_machine_at_its_registered_address_that_the_wire_never_showed_waits_and_its_operator_reads_why(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> list[tuple[str, object, object]]:
        give_address(services, "cp1", ADDRESS)
        await arm(services)
        for _ in range(3):
            plan = await services.script_for(MAC, ADDRESS)
            assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, services.hosts.get("cp1"))
        return [(event.name, event.host, event.data.get("reason")) for event in (await services.events())[1:]]

    assert with_services(scenario) == [("boot.script_served", "cp1", "not-announced")]


def test_why_a_machine_waits_is_recorded_again_under_a_new_arming(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        services.hosts.get("cp1").ignition.unlink()  # type: ignore[union-attr]
        services.boots(FIRMWARE, IPXE)
        for _ in range(2):
            services.clock.pass_(1)
            await arm(services)
            await services.script_for(MAC, ADDRESS)
            await services.script_for(MAC, ADDRESS)

        assert (await services.event_names()).count("boot.script_held_back") == 2

    with_services(scenario)


def test_an_address_that_the_registry_gives_to_a_host_is_no_unregistered_machines(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        give_address(services, "w1", OTHER_ADDRESS)
        services.boots(replace(FIRMWARE, mac=UNKNOWN_MAC), address=OTHER_ADDRESS)
        w1 = services.hosts.get("w1")
        assert w1 is not None

        assert services.identification.is_at(w1, OTHER_ADDRESS)
        assert services.identification.machine_at(OTHER_ADDRESS) == (OTHER_MAC, w1)
        assert not services.identification.is_own(UNKNOWN_MAC, None, OTHER_ADDRESS)

    with_services(scenario)


def test_a_host_that_leased_an_address_which_the_registry_gives_to_another_host_boots_from_it(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        give_address(services, "w1", OTHER_ADDRESS)
        await arm(services)
        services.boots(FIRMWARE, IPXE, address=OTHER_ADDRESS)

        assert services.identification.machine_at(OTHER_ADDRESS) == (
            MAC,
            services.hosts.get("cp1"),
        )
        assert isinstance(await services.script_for(MAC, OTHER_ADDRESS), InstallPlan)

    with_services(scenario)


def test_the_timeline_has_one_line_for_a_script_that_is_requested_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str | None]:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        for _ in range(5):
            await services.script_for(MAC, ADDRESS)
        return [event.step for event in await services.events() if event.name == "boot.script_served"]

    assert with_services(scenario) == ["script"]


def test_a_store_that_fails_is_logged_once_a_boot_however_often_and_whoever_requests_the_script(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        async with services.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")
        for address in (ADDRESS, UNKNOWN_ADDRESS) * 20:
            await services.script_for(MAC, address)

        names = await services.event_names()
        assert (names.count("boot.script_held_back"), names.count("boot.script_served")) == (1, 1)

    with_services(scenario)


def give_address(services: BuiltServices, name: str, address: IPv4Address) -> None:
    """Register a static address for a host."""
    network = HostNetwork(IPv4Interface(f"{address}/24"))
    hosts = [replace(host, network=network) if host.name == name else host for host in services.hosts]
    registry = HostSet.of(services.hosts.cluster, hosts)
    services.use(hosts=registry)
