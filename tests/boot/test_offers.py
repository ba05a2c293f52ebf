"""What the wire asks and shows: who is known, where, and what is told of it."""

from dataclasses import replace

from fixtures.house import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    STRANGER_MAC,
    House,
    InHouse,
)

from netboot.boot.machines_seen import STRANGERS
from netboot.events.event_limits import PER_UNREGISTERED
from netboot.model.boot.boot_client import Arch, Cpu
from netboot.model.boot.offer import InstallPlan
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.mac import Mac


def test_an_unknown_machine_is_discovered_once_and_gets_silence(in_house: InHouse):
    async def scenario(house: House) -> None:
        stranger = replace(FIRMWARE, mac=STRANGER_MAC)
        for _ in range(3):
            house.offer_desk.offer_for(stranger)

        assert [machine.mac for machine in house.desk.discovered()] == [STRANGER_MAC]
        assert await house.event_names() == ["boot.machine_discovered"]

    in_house(scenario)


def test_why_a_host_gets_no_answer_is_recorded_once_and_again_under_a_new_arming(in_house: InHouse):
    async def scenario(house: House) -> list[tuple[str | None, object]]:
        for _ in range(2):
            house.clock.pass_(1)
            await house.book.arm(HostName("cp1"), reason="test", attempts=3)
            for _ in range(5):
                house.offer_desk.refused(MAC, "other-network", cure="see where it is plugged in")
                house.offer_desk.refused(STRANGER_MAC, "other-network", cure="see where it is plugged in")
        return [(event.host, event.data["reason"]) for event in await house.events() if event.name[:5] == "dhcp."]

    assert in_house(scenario) == [("cp1", "other-network")] * 2


def test_an_address_belongs_to_the_machine_that_the_wire_showed_it_for_last(in_house: InHouse):
    async def scenario(house: House) -> None:
        cp1, w1 = house.desk.hosts.get("cp1"), house.desk.hosts.get("w1")
        assert cp1 is not None
        assert w1 is not None
        house.offer_desk.saw_address(MAC, ADDRESS, exchange=1)
        house.offer_desk.saw_address(OTHER_MAC, ADDRESS, exchange=1)

        assert not house.desk.is_at(cp1, ADDRESS)
        assert house.desk.is_at(w1, ADDRESS)

    in_house(scenario)


def test_a_machine_keeps_its_last_addresses_and_no_more(in_house: InHouse):
    async def scenario(house: House) -> None:
        cp1 = house.desk.hosts.get("cp1")
        assert cp1 is not None
        addresses = [ADDRESS + n for n in range(6)]
        for address in addresses:
            house.offer_desk.saw_address(MAC, address, exchange=1)

        assert [house.desk.is_at(cp1, address) for address in addresses] == [False, False, True, True, True, True]

    in_house(scenario)


def test_an_address_of_a_machine_that_does_not_boot_from_us_is_not_kept(in_house: InHouse):
    async def scenario(house: House) -> None:
        house.offer_desk.saw_address(STRANGER_MAC, OTHER_ADDRESS, exchange=1)

        assert house.desk.seen.by_address(OTHER_ADDRESS) is None

    in_house(scenario)


def test_a_flood_of_forged_machines_pushes_out_no_registered_one_and_does_not_fill_the_ledger(in_house: InHouse):
    async def scenario(house: House) -> None:
        await house.book.arm(HostName("cp1"), reason="test", attempts=3)
        house.boots(FIRMWARE, IPXE)
        for number in range(STRANGERS + 500):
            house.offer_desk.offer_for(replace(FIRMWARE, mac=Mac(f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}")))

        assert isinstance(await house.desk.script_for(MAC, ADDRESS), InstallPlan)
        assert len(house.desk.discovered()) == STRANGERS
        assert (await house.event_names()).count("boot.machine_discovered") == PER_UNREGISTERED

    in_house(scenario)


ARM64_CURE = (
    "no loader for arm64 (option 93 = 11): none of no directory has snponly-arm64.efi or ipxe-arm64.efi; install "
    "ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as snponly-arm64.efi"
)


async def refusals(house: House) -> list[tuple[str, str | None, str | None, dict[str, object]]]:
    events = [event for event in await house.events() if event.name.endswith("_refused")]
    return [(event.name, event.host, event.mac, dict(event.data)) for event in events]


def test_a_host_without_a_loader_is_refused_under_its_name_with_the_package_to_install(in_house: InHouse):
    async def scenario(house: House) -> None:
        await house.book.arm(HostName("cp1"), reason="test", attempts=3)
        arm64 = replace(FIRMWARE, arch=Arch.ARM64_UEFI)
        for elapsed in (0, 4, 12):
            house.offer_desk.offer_for(replace(arm64, exchange=1, elapsed=elapsed))

        data = {"architecture": 11, "arch": "arm64-uefi", "protocol": "pxe", "reason": "no-loader-for-arch"}
        assert await refusals(house) == [
            ("dhcp.architecture_refused", "cp1", MAC, {**data, "cure": ARM64_CURE}),
        ]
        house.clock.pass_(100)
        house.offer_desk.offer_for(replace(arm64, exchange=2))
        assert len(await refusals(house)) == 2  # its next boot

    in_house(scenario)


def test_a_host_of_an_architecture_without_a_cpu_is_told_how_to_map_it(in_house: InHouse):
    async def scenario(house: House) -> None:
        house.offer_desk.offer_for(replace(FIRMWARE, arch=2))

        [(name, host, _mac, data)] = await refusals(house)
        assert (name, host, data["reason"]) == ("dhcp.architecture_refused", "cp1", "unknown-architecture")
        assert "bootfiles.loaders: {arch: 2, loader: FILE}" in str(data["cure"])

    in_house(scenario)


def test_a_host_whose_own_loader_is_for_another_cpu_is_told_which(in_house: InHouse):
    async def scenario(house: House) -> None:
        desk = house.desk
        hosts = HostSet.of(desk.hosts.cluster, [replace(host, loader="mine.efi") for host in desk.hosts])
        policy = replace(desk.policy, cpus={"mine.efi": Cpu.ARM64})
        desk.use(hosts, policy, documents=desk.documents, bootfiles=desk.bootfiles)
        await house.book.arm(HostName("cp1"), reason="test", attempts=3)
        house.offer_desk.offer_for(FIRMWARE)

        [(_name, host, _mac, data)] = await refusals(house)
        assert (host, data["reason"]) == ("cp1", "loader-for-another-cpu")
        assert data["cure"] == "mine.efi is built for arm64, not for x64; correct hosts.cp1.loader"

    in_house(scenario)


def test_unregistered_machines_are_refused_once_for_each_architecture(in_house: InHouse):
    async def scenario(house: House) -> None:
        for number in range(3):
            for arch in (2, 3, *range(100, 200)):
                mac = Mac.from_bytes(bytes((2, 0, 0, 0, number, arch)))
                house.offer_desk.offer_for(replace(FIRMWARE, mac=mac, arch=arch))

        told = [data["architecture"] for _name, _host, _mac, data in await refusals(house)]
        assert told == [2, 3, *range(100, 130)]

    in_house(scenario)


def test_a_packet_without_an_architecture_is_recorded_for_a_registered_machine_alone(in_house: InHouse):
    async def scenario(house: House) -> None:
        for mac in (MAC, STRANGER_MAC, MAC):
            house.offer_desk.refused(mac, "no-architecture", cure="update its firmware")

        assert await refusals(house) == [
            ("dhcp.boot_refused", "cp1", MAC, {"reason": "no-architecture", "cure": "update its firmware"})
        ]

    in_house(scenario)
