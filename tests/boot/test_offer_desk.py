"""What the wire asks and shows: who is known, where, and what is told of it."""

from dataclasses import replace

from boot.house import (
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

from netboot.boot.seen import STRANGERS
from netboot.model.host import HostName
from netboot.model.mac import Mac
from netboot.model.offer import InstallPlan
from netboot.store.event_limits import PER_UNREGISTERED


def test_an_unknown_machine_is_discovered_once_and_gets_silence(in_house: InHouse):
    async def scenario(house: House) -> None:
        stranger = replace(FIRMWARE, mac=STRANGER_MAC)
        for _ in range(3):
            house.offer_desk.offer_for(stranger)

        assert [machine.mac for machine in house.desk.discovered()] == [STRANGER_MAC]
        assert await house.event_names() == ["boot.machine_discovered"]

    in_house(scenario)


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
