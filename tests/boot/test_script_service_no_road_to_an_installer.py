"""No path serves an installer to a host that nobody armed: every door, every client, every state of its install.

The doors are asked through the desk, as they ask it: offers for 67 and 4011, names for TFTP, paths for HTTP. What an
answer leads to is followed to its end; a last test shows that the same roads do lead there once the host is armed.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from fixtures.house import ADDRESS, BASE_URL, MAC, OTHER_MAC, STRANGER_ADDRESS, STRANGER_MAC, House, InHouse
from hypothesis import given
from hypothesis import strategies as st

from netboot.boot.firmware.requested_names import document_named
from netboot.boot.install_moves import Cause
from netboot.boot.token_documents import IgnitionPart, Refusal
from netboot.boot.tokens import draw
from netboot.content.bootfiles.directories import BootFile, BootFiles
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import DocumentKind, MachineDocument, Offer, OfferKind, Policy, UnknownHosts
from netboot.model.host.firmware import ReplyShape
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.install import InstallEvent, InstallState

CP1 = HostName("cp1")
ON_THE_WIRE = (Stage.FIRMWARE, Stage.IPXE)
CLIENTS = [
    BootClient(MAC, arch, protocol, stage) for arch in Arch for protocol in BootProtocol for stage in ON_THE_WIRE
]
FILES = (
    "snponly.efi",
    "ipxe.efi",
    "undionly.kpxe",
    "shimx64.efi",
    "grubx64.efi",
    "mmx64.efi",
    "grub.cfg",
    "autoexec.ipxe",
)
NAMES = (
    *FILES,
    "grub/grub.cfg",
    f"grub.cfg-01-{MAC.hyphenated}",
    f"EFI/BOOT/GRUB.CFG-01-{MAC.hyphenated.upper()}",
    f"grub.cfg-01-{OTHER_MAC.hyphenated}",
    f"grub.cfg-01-{STRANGER_MAC.hyphenated}",
    "grub.cfg-00112233-4455-6677-8899-aabbccddeeff",
    "grub.cfg-C0000232",
    "revocations_sbat.efi",
    "local-disk.efi",
    "pxelinux.cfg/default",
    "vmlinuz",
)
# Who asks by address: the machine, a machine that the wire never showed, and nobody's.
ADDRESSES = (ADDRESS, STRANGER_ADDRESS, IPv4Address("0.0.0.0"))
SIGNS_OF_AN_INSTALLER = ("vmlinuz", "initrd", "inst.ks", "/ks/", "ignition")


async def come_to(house: House, state: InstallState) -> None:
    """Bring cp1's install to a state, unarmed."""
    if state is InstallState.REGISTERED:
        return
    await house.book.arm(CP1, reason="test", attempts=3)
    await house.book.move(CP1, InstallEvent.OFFER_SENT, cause=Cause())
    if state is not InstallState.OFFERED:
        await house.book.boot_the_installer(house.desk.hosts.hosts[CP1], draw(house.clock.random_bytes), cause=Cause())
    for event in {
        InstallState.INSTALLING: [InstallEvent.REPORTED_STARTED],
        InstallState.INSTALLED: [InstallEvent.REPORTED_STARTED, InstallEvent.REPORTED_DONE],
        InstallState.READY: [InstallEvent.REPORTED_DONE, InstallEvent.IGNITION_SENT, InstallEvent.REPORTED_READY],
        InstallState.FAILED: [InstallEvent.REPORTED_STARTED, InstallEvent.REPORTED_FAILED],
    }.get(state, []):
        await house.book.move(CP1, event, cause=Cause())
    await house.book.cancel(CP1, reason="test")
    install = await house.book.ask(CP1)
    assert (install.state, install.is_armed) == (state, False)


def furnish(house: House, unknown: UnknownHosts = UnknownHosts.IGNORE) -> None:
    """Put loaders there, and files of an operator's that bear the names of our documents."""
    directory = house.directory / "loaders"
    directory.mkdir(exist_ok=True)
    pe_image = b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0\x64\x86" + bytes(64)
    for name in FILES:
        (directory / name).write_bytes(pe_image if name.endswith(".efi") else b"linux vmlinuz inst.ks=http://evil/")
    bootfiles = BootFiles([directory])
    policy = Policy(unknown, bootfiles.loaders(), others=bootfiles.other_loaders())
    house.desk.use(house.desk.hosts, policy, documents=house.desk.documents, bootfiles=bootfiles)


async def everything_said(house: House) -> AsyncIterator[tuple[str, str]]:
    """Walk every road: what each answer says, under the road's name."""
    for road, said in every_offer(house):
        yield road, said
    for address in ADDRESSES:
        for mac, name in itertools.product((None, MAC, OTHER_MAC, STRANGER_MAC), NAMES):
            async for said in read(house, address, name, mac):
                yield f"{name} of {mac} by {address}", said
        for mac, is_look in itertools.product((MAC, STRANGER_MAC), (True, False)):
            plan = await house.desk.script_for(mac, address, is_look=is_look)
            for text in (house.desk.documents.ipxe, house.desk.documents.grub):
                yield f"script of {mac} by {address}", text(plan, base_url=BASE_URL)


def every_offer(house: House) -> Iterator[tuple[str, str]]:
    for client in CLIENTS:
        for exchange in (7, None):  # on 67, on 4011
            offer = house.offer_desk.offer_for(replace(client, exchange=exchange))
            if isinstance(offer, Offer):
                house.offer_desk.offered(client, offer)
                yield (
                    f"{client.arch.name} {client.protocol} {client.stage} {exchange}",
                    f"{offer.kind} {offer.boot_file}",
                )
        house.offer_desk.saw_address(MAC, ADDRESS, exchange=1)


async def read(house: House, address: IPv4Address, name: str, mac: Mac | None) -> AsyncIterator[str]:
    """Read what a name is, as TFTP (no MAC) and HTTP below /boot/{mac}/ do."""
    match house.file_desk.loader_for(address, name, mac=mac):
        case MachineDocument() as document:
            for is_look in (True, False):
                text = await house.file_desk.document_for(document, address, base_url=BASE_URL, is_look=is_look)
                if text is not None:
                    yield text
        case BootFile(name=found):
            yield found


def leads_to_an_installer(said: str) -> bool:
    acts = [line for line in said.splitlines() if not line.startswith("#")]  # a comment tells a curious reader
    return any(sign in line for line in acts for sign in SIGNS_OF_AN_INSTALLER)


@pytest.mark.parametrize("unknown", list(UnknownHosts))
@pytest.mark.parametrize("state", list(InstallState))
def test_no_road_leads_an_unarmed_host_to_an_installer(in_house: InHouse, state: InstallState, unknown: UnknownHosts):
    async def scenario(house: House) -> None:
        furnish(house, unknown)
        await come_to(house, state)
        before = await house.book.ask(CP1)

        said = [(road, what) async for road, what in everything_said(house)]

        assert len(said) > 300
        assert [road for road, what in said if leads_to_an_installer(what)] == []
        assert await house.book.ask(CP1) == before

    in_house(scenario)


@pytest.mark.parametrize("state", list(InstallState))
def test_only_bios_gets_a_loader_to_come_to_its_disk(in_house: InHouse, state: InstallState):
    async def scenario(house: House) -> None:
        furnish(house)
        await come_to(house, state)
        for client in CLIENTS:
            offer = house.offer_desk.offer_for(client)
            assert isinstance(offer, Offer)
            is_bios = client.protocol is BootProtocol.PXE and client.arch is Arch.X86_BIOS
            expected = OfferKind.SCRIPT if client.stage is Stage.IPXE else OfferKind.LOCAL_DISK
            assert offer.kind is (OfferKind.LOADER if is_bios and client.stage is Stage.FIRMWARE else expected)

    in_house(scenario)


@pytest.mark.parametrize("pin", list(ReplyShape))
def test_neither_does_a_pinned_one(in_house: InHouse, pin: ReplyShape):
    async def scenario(house: House) -> None:
        furnish(house)
        pinned = [replace(host, firmware=pin, loader="shimx64.efi") for host in house.desk.hosts]
        hosts = HostSet.of(house.desk.hosts.cluster, pinned)
        house.desk.use(hosts, house.desk.policy, documents=house.desk.documents, bootfiles=house.desk.bootfiles)

        assert [road async for road, what in everything_said(house) if leads_to_an_installer(what)] == []

    in_house(scenario)


@pytest.mark.parametrize("state", [state for state in InstallState if state is not InstallState.REGISTERED])
def test_the_tokens_of_a_boot_before_open_no_kickstart(in_house: InHouse, state: InstallState):
    async def scenario(house: House) -> None:
        await come_to(house, state)
        house.offer_desk.saw_address(MAC, ADDRESS, exchange=1)
        tokens = (await house.book.ask(CP1)).tokens

        found = await house.token_desk.kickstart_for(tokens.kickstart, ADDRESS, base_url=BASE_URL)

        assert isinstance(found, Refusal)
        if state is InstallState.READY:
            ignition = await house.token_desk.ignition_for(
                tokens.ignition, IgnitionPart.ROLE, address=ADDRESS, base_url=BASE_URL
            )
            assert isinstance(ignition, Refusal)

    in_house(scenario)


def test_the_same_roads_lead_there_once_it_is_armed(in_house: InHouse):
    async def scenario(house: House) -> None:
        furnish(house)
        await house.book.arm(CP1, reason="test", attempts=3)

        roads = {road async for road, what in everything_said(house) if leads_to_an_installer(what)}

        assert {
            f"script of {MAC} by {ADDRESS}",
            f"grub.cfg of None by {ADDRESS}",
            f"grub.cfg of {MAC} by {ADDRESS}",
            f"grub.cfg-C0000232 of None by {ADDRESS}",
            f"grub.cfg-01-{MAC.hyphenated} of None by {ADDRESS}",
        } <= roads
        assert [road for road in roads if not road.endswith(str(ADDRESS))] == []

    in_house(scenario)


def test_the_name_of_another_machine_gets_what_the_asking_one_may_have(in_house: InHouse):
    async def scenario(house: House) -> None:
        furnish(house)
        house.offer_desk.saw_address(MAC, ADDRESS, exchange=1)

        found = house.file_desk.loader_for(ADDRESS, f"grub.cfg-01-{OTHER_MAC.hyphenated}")

        assert found == MachineDocument(DocumentKind.GRUB_CONFIG, MAC)

    in_house(scenario)


def test_who_is_nobody_gets_no_configuration_by_a_name_without_a_mac(in_house: InHouse):
    async def scenario(house: House) -> None:
        furnish(house)
        found = house.file_desk.loader_for(STRANGER_ADDRESS, "grub.cfg")

        assert found == MachineDocument(DocumentKind.GRUB_CONFIG, None)
        assert await house.file_desk.document_for(found, STRANGER_ADDRESS, base_url=BASE_URL) is None

    in_house(scenario)


def test_autoexec_leads_to_the_script_by_our_own_address(in_house: InHouse):
    async def scenario(house: House) -> None:
        furnish(house)
        house.offer_desk.saw_address(MAC, ADDRESS, exchange=1)
        texts = []
        for address in (ADDRESS, STRANGER_ADDRESS):
            found = house.file_desk.loader_for(address, "ipxe/autoexec.ipxe")
            assert isinstance(found, MachineDocument)
            text = await house.file_desk.document_for(found, address, base_url=BASE_URL)
            assert text is not None
            texts.append(text)

        assert all(text.startswith("#!ipxe\n") for text in texts)
        assert f"chain --replace --autofree {BASE_URL}/boot/{MAC.hyphenated}.ipxe ||" in texts[0]
        assert f"chain --replace --autofree {BASE_URL}/boot/${{mac:hexhyp}}.ipxe ||" in texts[1]
        assert [line for text in texts for line in text.splitlines() if "next-server" in line and line[0] != "#"] == []

    in_house(scenario)


@given(st.text(max_size=80))
def test_any_other_name_is_a_file_or_nothing(name: str):
    document = document_named(name)

    assert document is None or name.rpartition("/")[2].casefold().startswith(tuple(DocumentKind))
