"""An iPXE in a ROM that the host does not keep: it gets the loader first, and the loader its script."""

from dataclasses import replace

from fixtures.house import ADDRESS, IPXE, MAC, House, InHouse

from netboot.boot.machines_seen import LOADER_RUNS_S
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Arch
from netboot.model.boot.offer import Offer, OfferKind, Policy, UnknownHosts
from netboot.model.host.firmware import RomIpxe
from netboot.model.host.host import HostName, HostSet

BIOS_IPXE = replace(IPXE, arch=Arch.X86_BIOS)
LOADER, SCRIPT = (OfferKind.LOADER, "undionly.kpxe"), (OfferKind.SCRIPT, "")


async def arm(house: House, *, rom_ipxe: RomIpxe = RomIpxe.REPLACE) -> None:
    directory = house.directory / "loaders"
    directory.mkdir()
    (directory / "undionly.kpxe").write_bytes(b"x")
    bootfiles = BootFiles([directory])
    hosts = HostSet.of(house.desk.hosts.cluster, [replace(host, rom_ipxe=rom_ipxe) for host in house.desk.hosts])
    policy = Policy(UnknownHosts.IGNORE, bootfiles.loaders())
    house.desk.use(hosts, policy, documents=house.desk.documents, bootfiles=bootfiles)
    await house.book.arm(HostName("cp1"), reason="test", attempts=3)


def asks(house: House, exchange: int) -> tuple[OfferKind, str]:
    client = replace(BIOS_IPXE, exchange=exchange)
    offer = house.offer_desk.offer_for(client)
    assert isinstance(offer, Offer)
    house.offer_desk.offered(client, offer)
    house.clock.pass_(1)
    return offer.kind, offer.boot_file


def loads(house: House) -> None:
    house.offer_desk.saw_address(MAC, ADDRESS, exchange=1)
    house.file_desk.loader_for(ADDRESS, "undionly.kpxe")
    house.file_desk.loader_sent(ADDRESS, "undionly.kpxe", bytes_sent=1, seconds=0.1, retransmissions=0, outcome="sent")


def test_an_ipxe_in_a_rom_gets_its_script_at_once_where_nobody_says_otherwise(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house, rom_ipxe=RomIpxe.KEEP)

        assert asks(house, 1) == SCRIPT

    in_house(scenario)


def test_a_rom_that_is_replaced_gets_the_loader_and_the_loader_gets_the_script_boot_after_boot(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        for boot in range(3):
            assert [asks(house, 10 * boot + 1) for _ in range(3)] == [LOADER] * 3

            loads(house)

            assert [asks(house, 10 * boot + 2) for _ in range(2)] == [SCRIPT] * 2
            await house.desk.script_for(MAC, ADDRESS)
            house.clock.pass_(LOADER_RUNS_S + 1)

    in_house(scenario)


def test_a_loader_that_waits_and_asks_again_is_not_loaded_over_and_over(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        asks(house, 1)
        loads(house)
        for exchange in range(2, 20):
            assert asks(house, exchange) == SCRIPT
            await house.desk.script_for(MAC, ADDRESS)
            house.clock.pass_(LOADER_RUNS_S - 5)

    in_house(scenario)


def test_a_rom_whose_loader_did_not_come_through_is_given_it_again(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        asks(house, 1)
        house.clock.pass_(30)

        assert asks(house, 2) == LOADER

    in_house(scenario)
