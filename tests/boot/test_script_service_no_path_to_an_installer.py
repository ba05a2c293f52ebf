"""No path serves an installer to an unarmed host: every protocol, every client, every state of its install.

Requests go to the services as the listeners send them: offers for 67 and 4011, names for TFTP, paths for HTTP. Each
reply is followed to its end; the last test shows that the same paths lead to an installer if the host is armed.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from fixtures.services import (
    ADDRESS,
    BASE_URL,
    MAC,
    OTHER_MAC,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)
from hypothesis import given
from hypothesis import strategies as st

from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.firmware.requested_names import document_named
from netboot.boot.install_moves import ChangeCause
from netboot.boot.token_documents import Refusal
from netboot.content.bootfiles.directories import BootFile, BootFiles
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import (
    DocumentKind,
    MachineDocument,
    Offer,
    OfferKind,
    Policy,
    ScriptLanguage,
    UnknownHosts,
)
from netboot.model.host.firmware import ReplyVariant
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.install import InstallEvent, InstallState
from netboot.model.install.machine_identity import Identity
from netboot.model.install.token import new_tokens

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
    f"grub.cfg-01-{UNKNOWN_MAC.hyphenated}",
    "grub.cfg-00112233-4455-6677-8899-aabbccddeeff",
    "grub.cfg-C0000232",
    "revocations_sbat.efi",
    "local-disk.efi",
    "pxelinux.cfg/default",
    "vmlinuz",
)
# The source addresses: the machine's, one of a machine without any packet, and an unused one.
ADDRESSES = (ADDRESS, UNKNOWN_ADDRESS, IPv4Address("0.0.0.0"))
SIGNS_OF_AN_INSTALLER = ("vmlinuz", "initrd", "inst.ks", "/ks/", "ignition")


async def come_to(services: BuiltServices, state: InstallState) -> None:
    """Bring cp1's install to a state, unarmed."""
    if state is InstallState.REGISTERED:
        return
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    await services.install_moves.move(CP1, InstallEvent.OFFER_SENT, cause=ChangeCause())
    if state is not InstallState.OFFERED:
        drawn, target = new_tokens(services.clock.random_bytes), await services.install_moves.target(CP1)
        await services.install_moves.boot_the_installer(
            services.hosts.hosts[CP1],
            drawn,
            target=target,
            cause=ChangeCause(),
            write=lambda: "",
            exchange=None,
            shown=Identity(MAC),
            may_boot=lambda _install: True,
        )
    for event in {
        InstallState.INSTALLING: [InstallEvent.REPORTED_STARTED],
        InstallState.INSTALLED: [InstallEvent.REPORTED_STARTED, InstallEvent.REPORTED_DONE],
        InstallState.READY: [InstallEvent.REPORTED_DONE, InstallEvent.IGNITION_SENT, InstallEvent.REPORTED_READY],
        InstallState.FAILED: [InstallEvent.REPORTED_STARTED, InstallEvent.REPORTED_FAILED],
    }.get(state, []):
        await services.install_moves.move(CP1, event, cause=ChangeCause())
    await services.install_moves.cancel(CP1, reason="test")
    install = await services.install_moves.read(CP1)
    assert (install.state, install.is_armed) == (state, False)


def furnish(services: BuiltServices, unknown: UnknownHosts = UnknownHosts.IGNORE) -> None:
    """Write loaders, and an operator's files that have the names of our documents."""
    directory = services.directory / "loaders"
    directory.mkdir(exist_ok=True)
    pe_image = b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0\x64\x86" + bytes(64)
    for name in FILES:
        (directory / name).write_bytes(pe_image if name.endswith(".efi") else b"linux vmlinuz inst.ks=http://evil/")
    bootfiles = BootFiles([directory])
    policy = Policy(unknown, bootfiles.loaders(), others=bootfiles.other_loaders())
    services.use(policy=policy, boot_files=bootfiles)


async def everything_said(services: BuiltServices) -> AsyncIterator[tuple[str, str]]:
    """Request every path; return the text of each reply by the path's name."""
    for path, said in every_offer(services):
        yield path, said
    for address in ADDRESSES:
        for mac, name in itertools.product((None, MAC, OTHER_MAC, UNKNOWN_MAC), NAMES):
            async for said in read(services, address, name, mac):
                yield f"{name} of {mac} by {address}", said
        for mac, is_head in itertools.product((MAC, UNKNOWN_MAC), (True, False)):
            plan = await services.script_for(mac, address, is_head=is_head)
            for language in ScriptLanguage:
                text = services.documents.script(plan, language, base_url=BASE_URL)
                yield f"script of {mac} by {address}", text


def every_offer(services: BuiltServices) -> Iterator[tuple[str, str]]:
    for client in CLIENTS:
        for exchange in (7, None):  # on 67, on 4011
            offer = services.offer(replace(client, exchange=exchange), is_sent=True)
            if isinstance(offer, Offer):
                yield (
                    f"{client.arch.name} {client.protocol} {client.stage} {exchange}",
                    f"{offer.kind} {offer.boot_file}",
                )
        services.offer_service.record_address(MAC, ADDRESS, exchange=1)


async def read(services: BuiltServices, address: IPv4Address, name: str, mac: Mac | None) -> AsyncIterator[str]:
    """Read what a name is, as TFTP (no MAC) and HTTP below /boot/{mac}/ do."""
    match services.file_service.request_file(address, name, mac=mac):
        case MachineDocument() as document:
            for is_head in (True, False):
                text = await services.file_service.render(document, address, base_url=BASE_URL, is_head=is_head)
                if text is not None:
                    yield text
        case BootFile(name=found):
            yield found


def leads_to_an_installer(said: str) -> bool:
    acts = [line for line in said.splitlines() if not line.startswith("#")]  # comments are for a reader
    return any(sign in line for line in acts for sign in SIGNS_OF_AN_INSTALLER)


@pytest.mark.parametrize("unknown", list(UnknownHosts))
@pytest.mark.parametrize("state", list(InstallState))
def test_no_path_leads_an_unarmed_host_to_an_installer(
    with_services: WithServices, state: InstallState, unknown: UnknownHosts
):
    async def scenario(services: BuiltServices) -> None:
        furnish(services, unknown)
        await come_to(services, state)
        before = await services.install_moves.read(CP1)

        said = [(path, what) async for path, what in everything_said(services)]

        assert len(said) > 300
        assert [path for path, what in said if leads_to_an_installer(what)] == []
        assert await services.install_moves.read(CP1) == before

    with_services(scenario)


@pytest.mark.parametrize("state", list(InstallState))
def test_only_bios_gets_a_loader_to_come_to_its_disk(with_services: WithServices, state: InstallState):
    async def scenario(services: BuiltServices) -> None:
        furnish(services)
        await come_to(services, state)
        for client in CLIENTS:
            offer = services.offer(client)
            assert isinstance(offer, Offer)
            is_bios = client.protocol is BootProtocol.PXE and client.arch is Arch.X86_BIOS
            expected = OfferKind.SCRIPT if client.stage is Stage.IPXE else OfferKind.LOCAL_DISK
            assert offer.kind is (OfferKind.LOADER if is_bios and client.stage is Stage.FIRMWARE else expected)

    with_services(scenario)


@pytest.mark.parametrize("pin", list(ReplyVariant))
def test_neither_does_a_pinned_one(with_services: WithServices, pin: ReplyVariant):
    async def scenario(services: BuiltServices) -> None:
        furnish(services)
        pinned = [replace(host, firmware=pin, loader="shimx64.efi") for host in services.hosts]
        hosts = HostSet.of(services.hosts.cluster, pinned)
        services.use(hosts=hosts)

        assert [path async for path, what in everything_said(services) if leads_to_an_installer(what)] == []

    with_services(scenario)


@pytest.mark.parametrize("state", [state for state in InstallState if state is not InstallState.REGISTERED])
def test_the_tokens_of_a_boot_before_open_no_kickstart(with_services: WithServices, state: InstallState):
    async def scenario(services: BuiltServices) -> None:
        await come_to(services, state)
        services.offer_service.record_address(MAC, ADDRESS, exchange=1)
        tokens = (await services.install_moves.read(CP1)).tokens

        found = await services.document_service.serve_kickstart(tokens.kickstart, ADDRESS, base_url=BASE_URL)

        assert isinstance(found, Refusal)
        if state is InstallState.READY:
            ignition = await services.document_service.serve_ignition(
                tokens.ignition, IgnitionPart.ROLE, address=ADDRESS, base_url=BASE_URL
            )
            assert isinstance(ignition, Refusal)

    with_services(scenario)


def test_the_same_paths_lead_there_once_it_is_armed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        furnish(services)
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)

        paths = {path async for path, what in everything_said(services) if leads_to_an_installer(what)}

        assert {
            f"script of {MAC} by {ADDRESS}",
            f"grub.cfg of None by {ADDRESS}",
            f"grub.cfg of {MAC} by {ADDRESS}",
            f"grub.cfg-C0000232 of None by {ADDRESS}",
            f"grub.cfg-01-{MAC.hyphenated} of None by {ADDRESS}",
        } <= paths
        assert [path for path in paths if not path.endswith(str(ADDRESS))] == []

    with_services(scenario)


def test_the_name_of_another_machine_gets_what_the_requesting_one_may_have(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        furnish(services)
        services.offer_service.record_address(MAC, ADDRESS, exchange=1)

        found = services.file_service.request_file(ADDRESS, f"grub.cfg-01-{OTHER_MAC.hyphenated}")

        assert found == MachineDocument(DocumentKind.GRUB_CONFIG, MAC)

    with_services(scenario)


def test_an_unknown_address_gets_no_configuration_by_a_name_without_a_mac(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        furnish(services)
        found = services.file_service.request_file(UNKNOWN_ADDRESS, "grub.cfg")

        assert found == MachineDocument(DocumentKind.GRUB_CONFIG, None)
        assert await services.file_service.render(found, UNKNOWN_ADDRESS, base_url=BASE_URL) is None

    with_services(scenario)


def test_autoexec_leads_to_the_script_by_our_own_address(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        furnish(services)
        services.offer_service.record_address(MAC, ADDRESS, exchange=1)
        texts = []
        for address in (ADDRESS, UNKNOWN_ADDRESS):
            found = services.file_service.request_file(address, "ipxe/autoexec.ipxe")
            assert isinstance(found, MachineDocument)
            text = await services.file_service.render(found, address, base_url=BASE_URL)
            assert text is not None
            texts.append(text)

        assert all(text.startswith("#!ipxe\n") for text in texts)
        assert f"chain --replace --autofree {BASE_URL}/boot/{MAC.hyphenated}.ipxe ||" in texts[0]
        assert f"chain --replace --autofree {BASE_URL}/boot/${{mac:hexhyp}}.ipxe ||" in texts[1]
        assert [line for text in texts for line in text.splitlines() if "next-server" in line and line[0] != "#"] == []

    with_services(scenario)


@given(st.text(max_size=80))
def test_any_other_name_is_a_file_or_nothing(name: str):
    document = document_named(name)

    assert document is None or name.rpartition("/")[2].casefold().startswith(tuple(DocumentKind))
