"""gPXE and builds of iPXE that cannot do HTTP: in a ROM they get a loader; as our loader they end with a reason."""

from dataclasses import replace

from fixtures.services import ADDRESS, BASE_URL, FIRMWARE, IPXE, MAC, BuiltServices, WithServices

from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import BootClient
from netboot.model.boot.offer import Ignored, IgnoreReason, Offer, OfferKind, Policy, ScriptLanguage, UnknownHosts
from netboot.model.host.host import HostName

LOADER, NEXT_LOADER, SCRIPT = (OfferKind.LOADER, "snponly.efi"), (OfferKind.LOADER, "ipxe.efi"), (OfferKind.SCRIPT, "")
DROPPED = Ignored(IgnoreReason.LOADER_WITHOUT_HTTP)
GPXE = replace(FIRMWARE, is_etherboot=True)
RENAMED = replace(FIRMWARE, is_etherboot=True, has_http=True)  # an iPXE whose script changed its user class


def pe_image(machine: int) -> bytes:
    return b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(64)


async def arm(services: BuiltServices) -> None:
    directory = services.directory / "loaders"
    directory.mkdir(exist_ok=True)
    for name in ("snponly.efi", "ipxe.efi"):
        (directory / name).write_bytes(pe_image(0x8664))
    bootfiles = BootFiles([directory])
    policy = Policy(UnknownHosts.IGNORE, bootfiles.loaders(), others=bootfiles.other_loaders())
    services.use(policy=policy, boot_files=bootfiles)
    await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)


def offered(services: BuiltServices, client: BootClient, exchange: int) -> tuple[OfferKind, str] | Ignored:
    client = replace(client, exchange=exchange)
    offer = services.offer(client, is_sent=True)
    services.clock.pass_(5)
    if isinstance(offer, Ignored):
        return offer
    assert isinstance(offer, Offer)
    return offer.kind, offer.boot_file


def loads(services: BuiltServices, name: str, exchange: int) -> None:
    services.offer_service.record_address(MAC, ADDRESS, exchange=exchange)
    services.file_service.request_file(ADDRESS, name)
    services.file_service.record_loader(ADDRESS, name, bytes_sent=1, seconds=0.1, retransmissions=0, outcome="sent")
    services.clock.pass_(5)


def test_a_gpxe_in_a_rom_gets_a_loader_and_the_loader_its_script_boot_after_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        for boot in range(1, 4):
            assert offered(services, GPXE, boot * 10) == LOADER
            loads(services, "snponly.efi", boot * 10)
            assert offered(services, replace(IPXE, is_etherboot=True, has_http=True), boot * 10 + 1) == SCRIPT
            await services.script_for(MAC, ADDRESS)
            services.clock.pass_(100)

        assert not [event for event in await services.events() if "variant" in event.name or "dead" in event.name]

    with_services(scenario)


def test_a_loader_without_http_is_dropped_with_a_reason_and_the_next_one_is_tried(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        for boot in range(1, 3):
            assert offered(services, FIRMWARE, boot * 10) == LOADER
            loads(services, "snponly.efi", boot * 10)
            assert [offered(services, GPXE, boot * 10 + 1) for _ in range(3)] == [DROPPED] * 3
            services.clock.pass_(100)

        assert offered(services, FIRMWARE, 30) == NEXT_LOADER
        events = await services.events()
        refused = [dict(event.data) for event in events if event.name == "dhcp.boot_refused"]
        assert [(each["reason"], each["cure"]) for each in refused] == [
            (
                "loader-without-http",
                "snponly.efi is an iPXE built without HTTP; replace it by one with HTTP, as distributions build it",
            )
        ] * 2
        assert [event.data["reason"] for event in events if event.name == "boot.variant_changed"] == ["no-http"]

    with_services(scenario)


def test_loaders_that_all_lack_http_end_in_a_cure_that_says_so(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        for boot, name in enumerate(["snponly.efi"] * 2 + ["ipxe.efi"] * 2 + ["snponly.efi"], 1):
            assert offered(services, FIRMWARE, boot * 10) == (OfferKind.LOADER, name)
            loads(services, name, boot * 10)
            assert offered(services, GPXE, boot * 10 + 1) == DROPPED
            services.clock.pass_(100)

        [dead_end] = [event.data for event in await services.events() if event.name == "boot.dead_end_met"]
        assert dead_end["reason"] == "no-http"
        assert "ipxe.efi is an iPXE built without HTTP" in str(dead_end["cure"])

    with_services(scenario)


def test_a_loader_that_changed_its_user_class_still_gets_its_script(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        assert offered(services, FIRMWARE, 1) == LOADER
        loads(services, "snponly.efi", 1)

        assert offered(services, RENAMED, 2) == SCRIPT

    with_services(scenario)


def test_a_rom_like_that_gets_the_loader_first(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)

        assert offered(services, RENAMED, 1) == LOADER

    with_services(scenario)


def test_an_unarmed_gpxe_is_led_to_its_disk_by_a_loader_and_its_script(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        await services.install_moves.cancel(HostName("cp1"), reason="test")

        assert offered(services, GPXE, 1) == LOADER
        loads(services, "snponly.efi", 1)
        plan = await services.script_for(MAC, ADDRESS)
        assert "exit" in services.documents.script(plan, ScriptLanguage.IPXE, base_url=BASE_URL)

    with_services(scenario)
