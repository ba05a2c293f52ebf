"""Boot requests: which machine is known, at which address, and which events it causes."""

from dataclasses import replace

from fixtures.services import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.boot.sessions.machines_seen import UNREGISTERED_KEPT
from netboot.events.event_limits import PER_UNREGISTERED
from netboot.model.boot.boot_client import Arch, Cpu
from netboot.model.boot.offer import InstallPlan
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.mac import Mac

CP1 = HostName("cp1")


def test_an_unknown_machine_is_discovered_once_and_gets_no_reply(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        unregistered = replace(FIRMWARE, mac=UNKNOWN_MAC)
        for _ in range(3):
            services.offer(unregistered)

        assert [machine.mac for machine in services.seen.unregistered()] == [UNKNOWN_MAC]
        assert await services.event_names() == ["boot.machine_discovered"]

    with_services(scenario)


def test_why_a_host_gets_no_answer_is_recorded_once_and_again_under_a_new_arming(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[tuple[str | None, object]]:
        for _ in range(2):
            services.clock.pass_(1)
            await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
            for _ in range(5):
                services.offer_service.record_refusal(MAC, "other-network", cure="see where it is plugged in")
                services.offer_service.record_refusal(UNKNOWN_MAC, "other-network", cure="see where it is plugged in")
        return [(event.host, event.data["reason"]) for event in await services.events() if event.name[:5] == "dhcp."]

    assert with_services(scenario) == [("cp1", "other-network")] * 2


def test_an_address_belongs_to_the_machine_that_the_wire_showed_it_for_last(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        cp1, w1 = services.hosts.get("cp1"), services.hosts.get("w1")
        assert cp1 is not None
        assert w1 is not None
        services.offer_service.record_address(MAC, ADDRESS, exchange=1)
        services.offer_service.record_address(OTHER_MAC, ADDRESS, exchange=1)

        assert not services.identification.is_at(cp1, ADDRESS)
        assert services.identification.is_at(w1, ADDRESS)

    with_services(scenario)


def test_a_machine_keeps_its_last_addresses_and_no_more(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        cp1 = services.hosts.get("cp1")
        assert cp1 is not None
        addresses = [ADDRESS + n for n in range(6)]
        for address in addresses:
            services.offer_service.record_address(MAC, address, exchange=1)

        assert [services.identification.is_at(cp1, address) for address in addresses] == [
            False,
            False,
            True,
            True,
            True,
            True,
        ]

    with_services(scenario)


def test_an_address_of_a_machine_that_does_not_boot_from_us_is_not_kept(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        services.offer_service.record_address(UNKNOWN_MAC, OTHER_ADDRESS, exchange=1)

        assert services.seen.by_address(OTHER_ADDRESS) is None

    with_services(scenario)


def test_a_flood_of_forged_machines_evicts_no_registered_one_and_does_not_fill_the_store(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE, IPXE)
        for number in range(UNREGISTERED_KEPT + 500):
            services.offer(replace(FIRMWARE, mac=Mac(f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}")))

        assert isinstance(await services.script_for(MAC, ADDRESS), InstallPlan)
        assert len(services.seen.unregistered()) == UNREGISTERED_KEPT
        assert (await services.event_names()).count("boot.machine_discovered") == PER_UNREGISTERED

    with_services(scenario)


ARM64_CURE = (
    "no loader for arm64 (option 93 = 11): none of no directory has snponly-arm64.efi or ipxe-arm64.efi; install "
    "ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as snponly-arm64.efi"
)


async def refusals(services: BuiltServices) -> list[tuple[str, str | None, str | None, dict[str, object]]]:
    events = [event for event in await services.events() if event.name.endswith("_refused")]
    return [(event.name, event.host, event.mac, dict(event.data)) for event in events]


def test_a_host_without_a_loader_is_refused_under_its_name_with_the_package_to_install(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        arm64 = replace(FIRMWARE, arch=Arch.ARM64_UEFI)
        for elapsed in (0, 4, 12):
            services.offer(replace(arm64, exchange=1, elapsed=elapsed))

        data = {"architecture": 11, "arch": "arm64-uefi", "protocol": "pxe", "reason": "no-loader-for-arch"}
        assert await refusals(services) == [
            ("dhcp.architecture_refused", "cp1", MAC, {**data, "cure": ARM64_CURE}),
        ]
        services.clock.pass_(100)
        services.offer(replace(arm64, exchange=2))
        assert len(await refusals(services)) == 2  # its next boot

    with_services(scenario)


def test_the_cure_for_an_architecture_without_a_cpu_is_a_rule_for_it(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        services.offer(replace(FIRMWARE, arch=2))

        [(name, host, _mac, data)] = await refusals(services)
        assert (name, host, data["reason"]) == ("dhcp.architecture_refused", "cp1", "unknown-architecture")
        assert "bootfiles.loaders: {arch: 2, loader: FILE}" in str(data["cure"])

    with_services(scenario)


def test_a_host_loader_for_another_cpu_is_named_in_the_event(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        hosts = HostSet.of(services.hosts.cluster, [replace(host, loader="mine.efi") for host in services.hosts])
        policy = replace(services.policy, cpus={"mine.efi": Cpu.ARM64})
        services.use(hosts=hosts, policy=policy)
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.offer(FIRMWARE)

        [(_name, host, _mac, data)] = await refusals(services)
        assert (host, data["reason"]) == ("cp1", "loader-for-another-cpu")
        assert data["cure"] == "mine.efi is built for arm64, not for x64; correct hosts.cp1.loader"

    with_services(scenario)


def test_unregistered_machines_are_refused_once_for_each_architecture(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        for number in range(3):
            for arch in (2, 3, *range(100, 200)):
                mac = Mac.from_bytes(bytes((2, 0, 0, 0, number, arch)))
                services.offer(replace(FIRMWARE, mac=mac, arch=arch))

        reported = [data["architecture"] for _name, _host, _mac, data in await refusals(services)]
        assert reported == [2, 3, *range(100, 130)]

    with_services(scenario)


def test_a_packet_without_an_architecture_is_recorded_for_a_registered_machine_alone(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        for mac in (MAC, UNKNOWN_MAC, MAC):
            services.offer_service.record_refusal(mac, "no-architecture", cure="update its firmware")

        assert await refusals(services) == [
            ("dhcp.boot_refused", "cp1", MAC, {"reason": "no-architecture", "cure": "update its firmware"})
        ]

    with_services(scenario)


def repeat(services: BuiltServices, exchange: int = 7) -> None:
    """Send what a firmware sends that takes no address: one exchange with growing `secs`."""
    for elapsed, pause_s in ((0, 4), (4, 8), (12, 16), (28, 0)):
        services.offer(replace(FIRMWARE, exchange=exchange, elapsed=elapsed), is_sent=True)
        services.clock.pass_(pause_s)


def test_offers_that_a_firmware_does_not_take_are_reported_once_in_a_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[dict[str, object]]:
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)
        repeat(services)
        services.clock.pass_(100)
        repeat(services, exchange=8)
        return [dict(event.data) for event in await services.events() if event.name == "boot.offers_unanswered"]

    found = {"discovers": 3, "secs": 12, "protocol": "pxe", "loader": "snponly.efi"}
    assert with_services(scenario) == [{**found, "variant": "with-43 snponly.efi"}] * 2


def test_a_firmware_that_takes_an_address_and_one_that_is_led_to_its_disk_took_the_offer(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        repeat(services)
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)
        services.clock.pass_(100)
        services.boots(replace(FIRMWARE, exchange=9))
        repeat(services, exchange=9)
        return await services.event_names()

    assert "boot.offers_unanswered" not in with_services(scenario)


def test_an_offer_has_the_secs_of_a_discover_whose_predecessors_did_not_come(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[object]:
        for exchange, elapsed in ((1, 0), (2, 12)):
            services.offer(replace(FIRMWARE, exchange=exchange, elapsed=elapsed), is_sent=True)
            services.clock.pass_(100)
        return [event.data.get("secs") for event in await services.events() if event.name == "boot.offered"]

    assert with_services(scenario) == [None, 12]
