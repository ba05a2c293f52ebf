"""gPXE and builds of iPXE that cannot do HTTP: in a ROM they get a loader; as our loader they end with a reason."""

from dataclasses import replace

from fixtures.house import ADDRESS, BASE_URL, FIRMWARE, IPXE, MAC, House, InHouse

from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import BootClient
from netboot.model.boot.offer import Ignored, IgnoreReason, Offer, OfferKind, Policy, UnknownHosts
from netboot.model.host.host import HostName

LOADER, NEXT_LOADER, SCRIPT = (OfferKind.LOADER, "snponly.efi"), (OfferKind.LOADER, "ipxe.efi"), (OfferKind.SCRIPT, "")
DROPPED = Ignored(IgnoreReason.LOADER_WITHOUT_HTTP)
GPXE = replace(FIRMWARE, is_etherboot=True)
RENAMED = replace(FIRMWARE, is_etherboot=True, has_http=True)  # an iPXE whose script changed its user class


def pe_image(machine: int) -> bytes:
    return b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(64)


async def arm(house: House) -> None:
    directory = house.directory / "loaders"
    directory.mkdir(exist_ok=True)
    for name in ("snponly.efi", "ipxe.efi"):
        (directory / name).write_bytes(pe_image(0x8664))
    bootfiles = BootFiles([directory])
    policy = Policy(UnknownHosts.IGNORE, bootfiles.loaders(), others=bootfiles.other_loaders())
    house.desk.use(house.desk.hosts, policy, documents=house.desk.documents, bootfiles=bootfiles)
    await house.book.arm(HostName("cp1"), reason="test", attempts=3)


def asks(house: House, client: BootClient, exchange: int) -> tuple[OfferKind, str] | Ignored:
    client = replace(client, exchange=exchange)
    offer = house.offer_desk.offer_for(client)
    house.clock.pass_(5)
    if isinstance(offer, Ignored):
        return offer
    assert isinstance(offer, Offer)
    house.offer_desk.offered(client, offer)
    return offer.kind, offer.boot_file


def loads(house: House, name: str, exchange: int) -> None:
    house.offer_desk.saw_address(MAC, ADDRESS, exchange=exchange)
    house.file_desk.loader_for(ADDRESS, name)
    house.file_desk.loader_sent(ADDRESS, name, bytes_sent=1, seconds=0.1, retransmissions=0, outcome="sent")
    house.clock.pass_(5)


def test_a_gpxe_in_a_rom_gets_a_loader_and_the_loader_its_script_boot_after_boot(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        for boot in range(1, 4):
            assert asks(house, GPXE, boot * 10) == LOADER
            loads(house, "snponly.efi", boot * 10)
            assert asks(house, replace(IPXE, is_etherboot=True, has_http=True), boot * 10 + 1) == SCRIPT
            await house.desk.script_for(MAC, ADDRESS)
            house.clock.pass_(100)

        assert not [event for event in await house.events() if "shape" in event.name or "dead" in event.name]

    in_house(scenario)


def test_a_loader_without_http_is_dropped_with_a_reason_and_the_next_one_is_tried(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        for boot in range(1, 3):
            assert asks(house, FIRMWARE, boot * 10) == LOADER
            loads(house, "snponly.efi", boot * 10)
            assert [asks(house, GPXE, boot * 10 + 1) for _ in range(3)] == [DROPPED] * 3
            house.clock.pass_(100)

        assert asks(house, FIRMWARE, 30) == NEXT_LOADER
        events = await house.events()
        refused = [dict(event.data) for event in events if event.name == "dhcp.boot_refused"]
        assert [(each["reason"], each["cure"]) for each in refused] == [
            (
                "loader-without-http",
                "snponly.efi is an iPXE built without HTTP; replace it by one with HTTP, as distributions build it",
            )
        ] * 2
        assert [event.data["reason"] for event in events if event.name == "boot.shape_moved"] == ["no-http"]

    in_house(scenario)


def test_loaders_that_all_lack_http_end_in_a_cure_that_says_so(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        for boot, name in enumerate(["snponly.efi"] * 2 + ["ipxe.efi"] * 2 + ["snponly.efi"], 1):
            assert asks(house, FIRMWARE, boot * 10) == (OfferKind.LOADER, name)
            loads(house, name, boot * 10)
            assert asks(house, GPXE, boot * 10 + 1) == DROPPED
            house.clock.pass_(100)

        [dead_end] = [event.data for event in await house.events() if event.name == "boot.dead_end_met"]
        assert dead_end["reason"] == "no-http"
        assert "ipxe.efi is an iPXE built without HTTP" in str(dead_end["cure"])

    in_house(scenario)


def test_a_loader_that_changed_its_user_class_still_gets_its_script(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        assert asks(house, FIRMWARE, 1) == LOADER
        loads(house, "snponly.efi", 1)

        assert asks(house, RENAMED, 2) == SCRIPT

    in_house(scenario)


def test_a_rom_like_that_gets_the_loader_first(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)

        assert asks(house, RENAMED, 1) == LOADER

    in_house(scenario)


def test_an_unarmed_gpxe_is_led_to_its_disk_by_a_loader_and_its_script(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        await house.book.cancel(HostName("cp1"), reason="test")

        assert asks(house, GPXE, 1) == LOADER
        loads(house, "snponly.efi", 1)
        plan = await house.desk.script_for(MAC, ADDRESS)
        assert "exit" in house.desk.documents.ipxe(plan, base_url=BASE_URL)

    in_house(scenario)
