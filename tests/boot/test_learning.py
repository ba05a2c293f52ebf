"""Machines whose boots fail repeatedly: what is learned, and what they are offered next."""

from dataclasses import replace

import pytest
from fixtures.services import ADDRESS, BASE_URL, FIRMWARE, IPXE, MAC, UNKNOWN_ADDRESS, BuiltServices, WithServices

from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Cpu, Machine
from netboot.model.boot.offer import MachineDocument, Offer, OfferKind, Policy, UnknownHosts
from netboot.model.host.firmware import ReplyVariant
from netboot.model.host.host import HostName, HostSet
from netboot.store.machines import Machines

CP1 = HostName("cp1")
WITH, WITHOUT = ReplyVariant.WITH_43, ReplyVariant.WITHOUT_43
SENT = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0, "outcome": "sent"}


def pe_image(machine: int) -> bytes:
    return b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(64)


async def arm(services: BuiltServices) -> None:
    """Arm cp1, with two loaders and one unregistered machine."""
    directory = services.directory / "loaders"
    directory.mkdir(exist_ok=True)
    for name in ("snponly.efi", "ipxe.efi"):
        (directory / name).write_bytes(pe_image(0x8664))
    (directory / "undionly.kpxe").write_bytes(b"x")
    bootfiles = BootFiles([directory])
    policy = Policy(UnknownHosts.IGNORE, bootfiles.loaders(), others=bootfiles.other_loaders())
    services.use(policy=policy, boot_files=bootfiles)
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)


class Machine1:
    """cp1's firmware, one power cycle after the other."""

    def __init__(self, services: BuiltServices, client: BootClient = FIRMWARE) -> None:
        self.services = services
        self.client = client
        self.exchange = 100

    def discovers(self, times: int = 1) -> list[tuple[ReplyVariant, str]]:
        """Send requests as firmware does, with growing pauses; return each reply."""
        self.exchange += 1
        answers = []
        for elapsed in (0, 4, 12, 28)[:times]:
            client = replace(self.client, exchange=self.exchange, elapsed=elapsed)
            offer = self.services.offer(client, is_sent=True)
            assert isinstance(offer, Offer)
            answers.append((offer.variant, offer.boot_file))
            self.services.clock.pass_(4)
        self.services.clock.pass_(20)
        return answers

    def loads(self, name: str) -> None:
        self.services.offer_service.record_address(MAC, ADDRESS, exchange=self.exchange)
        name = self.services.file_service.requested_name(ADDRESS, name)
        self.services.file_service.request_file(ADDRESS, name)
        self.services.file_service.record_loader(ADDRESS, name, **SENT)  # type: ignore[arg-type]


async def emitted(services: BuiltServices) -> list[tuple[str, object]]:
    """The events about variants and dead ends."""
    return [
        (event.name, event.data.get("to") or event.data.get("variant") or event.data.get("reason"))
        for event in await services.events()
        if event.name.startswith(("boot.variant", "boot.dead"))
    ]


def test_within_one_boot_the_same_request_gets_the_same_reply(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)

        answers = [machine.discovers(4) for _ in range(4)]

        assert answers[:2] == [[(WITH, "snponly.efi")] * 4] * 2
        assert answers[2:] == [[(WITHOUT, "snponly.efi")] * 4] * 2

    with_services(scenario)


def test_a_machine_that_never_answers_an_offer_is_sent_to_4011_and_then_reported(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(6):
            machine.discovers(4)

        assert await emitted(services) == [
            ("boot.variant_changed", "without-43 snponly.efi"),
            ("boot.dead_end_met", "without-43 snponly.efi"),
        ]
        assert machine.discovers(1) == [(WITH, "snponly.efi")]

    with_services(scenario)


def test_a_loader_that_never_requests_its_script_is_replaced_by_the_next_which_is_stored(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(2):
            machine.discovers()
            machine.loads("snponly.efi")
        assert machine.discovers() == [(WITH, "ipxe.efi")]
        machine.loads("ipxe.efi")
        services.boots(IPXE)
        await services.script_for(MAC, ADDRESS)

        assert machine.discovers() == [(WITH, "ipxe.efi")]
        assert await emitted(services) == [
            ("boot.variant_changed", "with-43 ipxe.efi"),
            ("boot.variant_learned", "with-43 ipxe.efi"),
        ]
        kept = next(iter(services.seen)).machine
        assert kept.variants == {"pxe/x64": "with-43 ipxe.efi"}

    with_services(scenario)


def test_a_loader_with_another_user_class_that_reaches_its_script_is_learned(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for name in ("snponly.efi", "snponly.efi", "ipxe.efi"):
            machine.discovers()
            machine.loads(name)
        offer = services.offer(replace(FIRMWARE, is_etherboot=True, has_http=True, exchange=1), is_sent=True)
        assert offer == Offer(OfferKind.SCRIPT, MAC)
        await services.script_for(MAC, ADDRESS)

        assert (await emitted(services))[-1] == ("boot.variant_learned", "with-43 ipxe.efi")

    with_services(scenario)


@pytest.mark.parametrize("path", ["ipxe", "grub"])
def test_a_script_that_another_address_requests_teaches_nothing(with_services: WithServices, path: str):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(2):
            machine.discovers()
            machine.loads("snponly.efi")
            if path == "ipxe":
                await services.script_for(MAC, UNKNOWN_ADDRESS)
            else:
                document = services.file_service.request_file(UNKNOWN_ADDRESS, "grub.cfg-01-52-54-00-aa-bb-01")
                assert isinstance(document, MachineDocument)
                await services.file_service.render(document, UNKNOWN_ADDRESS, base_url=BASE_URL)

        assert machine.discovers() == [(WITH, "ipxe.efi")]
        assert await emitted(services) == [("boot.variant_changed", "with-43 ipxe.efi")]

    with_services(scenario)


def test_what_worked_is_offered_first_after_a_restart(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        now = services.clock.now()
        recorded = Machine(MAC, now, now, variants={"pxe/x64": "without-43 ipxe.efi"})
        services.seen.keep(services.seen.find_or_add(MAC), recorded)

        assert Machine1(services).discovers() == [(WITHOUT, "ipxe.efi")]

    with_services(scenario)


def test_what_is_on_record_and_cannot_be_read_is_as_if_it_were_not(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        now = services.clock.now()
        recorded = Machine(MAC, now, now, variants={"pxe/x64": "by pigeon"})
        services.seen.keep(services.seen.find_or_add(MAC), recorded)

        assert Machine1(services).discovers() == [(WITH, "snponly.efi")]

    with_services(scenario)


def test_each_firmware_of_a_card_is_learned_for_itself(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        by_http = Machine1(services, replace(FIRMWARE, arch=Arch.X64_UEFI_HTTP, protocol=BootProtocol.HTTP))
        by_http.exchange = 900
        for _ in range(2):
            machine.discovers(4)
            by_http.discovers(1)

        assert machine.discovers() == [(WITHOUT, "snponly.efi")]
        assert by_http.discovers() == [(WITH, "snponly.efi")]

    with_services(scenario)


def test_nothing_is_learned_from_requests_faster_than_a_machine_boots(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(20):
            machine.exchange += 1
            for _ in range(4):
                offer = services.offer(replace(FIRMWARE, exchange=machine.exchange), is_sent=True)
                assert isinstance(offer, Offer)
            services.offer_service.record_address(MAC, ADDRESS, exchange=machine.exchange)
            services.file_service.request_file(ADDRESS, "pxelinux.0")
            services.clock.pass_(1)
        services.clock.pass_(60)

        assert machine.discovers() == [(WITH, "snponly.efi")]
        assert await emitted(services) == []
        offers = [event for event in await services.events() if event.name == "boot.offered"]
        assert len(offers) == 2

    with_services(scenario)


def test_a_whole_cycle_in_an_instant_is_no_firmwares(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        for exchange in range(20):
            for elapsed in (0, 4, 12, 28):  # a tester's replay, without the pauses
                client = replace(FIRMWARE, exchange=exchange, elapsed=elapsed)
                offer = services.offer(client, is_sent=True)
                assert isinstance(offer, Offer)
            services.clock.pass_(30)

        assert Machine1(services).discovers() == [(WITH, "snponly.efi")]
        assert await emitted(services) == []

    with_services(scenario)


def test_a_client_that_loads_without_taking_an_address_is_no_firmware(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for name in ("snponly.efi", "undionly.kpxe", "", "nosuch", "snponly.efi", "") * 2:
            machine.discovers()
            services.offer_service.record_address(MAC, ADDRESS, exchange=1)  # a request on 4011
            if name:
                services.file_service.request_file(ADDRESS, name)
                services.file_service.record_loader(ADDRESS, name, **SENT)  # type: ignore[arg-type]
            services.clock.pass_(20)

        assert machine.discovers() == [(WITH, "snponly.efi")]
        assert await emitted(services) == []

    with_services(scenario)


def test_a_request_on_4011_is_of_the_same_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(3):
            machine.discovers(3)
            on_4011 = replace(FIRMWARE, exchange=None)
            services.offer_service.record_address(MAC, ADDRESS, exchange=machine.exchange)
            offer = services.offer(on_4011, is_sent=True)
            assert isinstance(offer, Offer)
            services.clock.pass_(20)

        moved = [event for event in await services.events() if event.name == "boot.variant_changed"]
        assert [event.data["reason"] for event in moved] == ["no-loader"]

    with_services(scenario)


def test_nothing_is_learned_from_a_running_system_that_requests_its_address(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(3):
            machine.discovers(4)
            services.clock.pass_(30)
            services.offer_service.record_address(MAC, ADDRESS, exchange=1)  # the disk's Linux

        moved = [event for event in await services.events() if event.name == "boot.variant_changed"]
        assert [event.data["reason"] for event in moved] == ["no-request"]

    with_services(scenario)


def test_a_machine_that_loads_what_another_server_named_is_recognised(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(5):
            machine.discovers()
            machine.loads("undionly.kpxe")  # for BIOS, on a UEFI machine

        events = {event.name: event.data for event in await services.events()}
        assert events["boot.variant_changed"]["reason"] == "wrong-loader"
        assert "it requests undionly.kpxe" in str(events["boot.dead_end_met"]["cure"])

    with_services(scenario)


@pytest.mark.parametrize("tail", ["\udcff", "R\x06\x01\x04", "\x00\udcff", ".sig"])
def test_a_tail_that_an_old_rom_appends_is_no_other_loader(with_services: WithServices, tail: str):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(5):
            machine.discovers()
            machine.loads("snponly.efi" + tail)
            services.boots(IPXE)
            await services.script_for(MAC, ADDRESS)

        assert await emitted(services) == []
        sent = [event.data["name"] for event in await services.events() if event.name == "boot.loader_sent"]
        assert set(sent) == {"snponly.efi"}

    with_services(scenario)


def test_a_name_that_begins_alike_and_is_a_file_is_that_file(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        (services.directory / "loaders" / "snponly.efi.sig").write_bytes(b"signature")
        bootfiles = BootFiles([services.directory / "loaders"])
        services.use(boot_files=bootfiles)
        Machine1(services).discovers()

        assert services.file_service.requested_name(ADDRESS, "snponly.efi.sig") == "snponly.efi.sig"
        assert services.file_service.requested_name(ADDRESS, "grub.cfg") == "grub.cfg"

    with_services(scenario)


def test_a_machine_that_nobody_knows_may_append_a_tail_to_any_loader_that_is_offered_here(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)

        assert services.file_service.requested_name(ADDRESS, "ipxe.efi\udcff") == "ipxe.efi"
        assert services.file_service.requested_name(ADDRESS, "undionly.kpxe\udcff") == "undionly.kpxe"
        assert services.file_service.requested_name(ADDRESS, "other.efi\udcff") == "other.efi\udcff"

    with_services(scenario)


def test_what_a_loader_requests_by_itself_accuses_nobody(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        machine = Machine1(services)
        for _ in range(4):
            machine.discovers()
            machine.loads("revocations_sku.efi")
            machine.loads("boot/grub/x86_64-efi/command.lst")

        assert all("DHCP server names" not in str(event.data.get("cure", "")) for event in await services.events())
        assert "wrong-loader" not in str([event.data for event in await services.events()])

    with_services(scenario)


def test_a_pinned_machine_is_never_moved_and_the_cure_says_why(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        pinned = [replace(host, firmware=WITHOUT, loader="ipxe.efi") for host in services.hosts]
        policy = replace(services.policy, cpus={"ipxe.efi": Cpu.X64})
        hosts = HostSet.of(services.hosts.cluster, pinned)
        services.use(hosts=hosts, policy=policy)
        machine = Machine1(services)

        answers = [machine.discovers(4)[0] for _ in range(5)]

        assert answers == [(WITHOUT, "ipxe.efi")] * 5
        ends = [event for event in await services.events() if event.name == "boot.dead_end_met"]
        assert [str(end.data["cure"])[-32:] for end in ends] == ["loader, so nothing else is tried"]

    with_services(scenario)


def test_a_host_that_is_led_to_its_disk_is_never_judged(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        await services.install_moves.cancel(CP1, reason="test")
        machine = Machine1(services)
        for _ in range(6):
            machine.discovers(4)
            services.clock.pass_(300)  # it does not come back at once

        assert await emitted(services) == []

    with_services(scenario)


def test_what_worked_survives_a_restart_of_the_daemon(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        now = services.clock.now()
        machine = Machine(MAC, now, now, variants={"pxe/x64": "without-43 ipxe.efi"})
        machines = Machines(services.database)
        machines.keep(machine)
        await machines.flush()

        assert await Machines(services.database).all() == {MAC: machine}

    with_services(scenario)
