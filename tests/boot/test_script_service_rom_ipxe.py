"""An iPXE in a ROM that the host does not keep: it gets the loader first, and the loader its script."""

from dataclasses import replace

from fixtures.services import ADDRESS, IPXE, MAC, BuiltServices, WithServices

from netboot.boot.sessions.machines_seen import LOADER_RUNS_S
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Arch
from netboot.model.boot.offer import Offer, OfferKind, Policy, UnknownHosts
from netboot.model.host.firmware import RomIpxe
from netboot.model.host.host import HostName, HostSet

BIOS_IPXE = replace(IPXE, arch=Arch.X86_BIOS)
LOADER, SCRIPT = (OfferKind.LOADER, "undionly.kpxe"), (OfferKind.SCRIPT, "")


async def arm(services: BuiltServices, *, rom_ipxe: RomIpxe = RomIpxe.REPLACE) -> None:
    directory = services.directory / "loaders"
    directory.mkdir()
    (directory / "undionly.kpxe").write_bytes(b"x")
    bootfiles = BootFiles([directory])
    hosts = HostSet.of(
        services.hosts.cluster,
        [replace(host, rom_ipxe=rom_ipxe) for host in services.hosts],
    )
    policy = Policy(UnknownHosts.IGNORE, bootfiles.loaders())
    services.use(hosts=hosts, policy=policy, boot_files=bootfiles)
    await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=30)


def offered(services: BuiltServices, exchange: int) -> tuple[OfferKind, str]:
    client = replace(BIOS_IPXE, exchange=exchange)
    offer = services.offer(client, is_sent=True)
    assert isinstance(offer, Offer)
    services.clock.pass_(1)
    return offer.kind, offer.boot_file


def loads(services: BuiltServices) -> None:
    services.offer_service.record_address(MAC, ADDRESS, exchange=1)
    services.file_service.request_file(ADDRESS, "undionly.kpxe")
    services.file_service.record_loader(
        ADDRESS, "undionly.kpxe", bytes_sent=1, seconds=0.1, retransmissions=0, outcome="sent"
    )


def test_an_ipxe_in_a_rom_gets_its_script_at_once_where_nobody_says_otherwise(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services, rom_ipxe=RomIpxe.KEEP)

        assert offered(services, 1) == SCRIPT

    with_services(scenario)


def test_a_rom_that_is_replaced_gets_the_loader_and_the_loader_gets_the_script_boot_after_boot(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        for boot in range(3):
            assert [offered(services, 10 * boot + 1) for _ in range(3)] == [LOADER] * 3

            loads(services)

            assert [offered(services, 10 * boot + 2) for _ in range(2)] == [SCRIPT] * 2
            await services.script_for(MAC, ADDRESS)
            services.clock.pass_(LOADER_RUNS_S + 1)

    with_services(scenario)


def test_a_loader_that_waits_and_sends_its_request_again_is_not_loaded_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        offered(services, 1)
        loads(services)
        for exchange in range(2, 20):
            assert offered(services, exchange) == SCRIPT
            await services.script_for(MAC, ADDRESS)
            services.clock.pass_(LOADER_RUNS_S - 5)

    with_services(scenario)


def test_a_rom_whose_loader_did_not_come_through_is_given_it_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        offered(services, 1)
        services.clock.pass_(30)

        assert offered(services, 2) == LOADER

    with_services(scenario)
