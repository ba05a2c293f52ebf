"""How a machine is led to its own disk, learned from what followed: with the real services, store and templates."""

from dataclasses import replace
from typing import Any, Final

from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.sessions.local_boots import FIRMWARES
from netboot.boot.token_documents import Report
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import Ignored, IgnoreReason, LocalBootPlan, Offer, OfferKind, ScriptLanguage
from netboot.model.host.firmware import LocalBootMethod, LocalBootState
from netboot.model.host.host import HostName
from tests.fixtures.services import ADDRESS, BASE_URL, MAC, BuiltServices, WithServices

M: Final = LocalBootMethod
CP1: Final = HostName("cp1")


class Machine:
    """cp1, whose firmware sends a new exchange at each boot."""

    def __init__(self, services: BuiltServices, arch: Arch, protocol: BootProtocol = BootProtocol.PXE) -> None:
        self.services, self.arch, self.protocol, self.exchange = services, arch, protocol, 0

    def client(self, stage: Stage = Stage.FIRMWARE) -> BootClient:
        self.exchange += 1
        return BootClient(MAC, self.arch, self.protocol, stage, exchange=self.exchange)

    def boots(self, stage: Stage = Stage.FIRMWARE) -> Offer | Ignored:
        """Begin a boot, twenty seconds after the last packet."""
        self.services.clock.pass_(20)
        client = self.client(stage)
        offer = self.services.offer(client, is_sent=True)
        self.services.offer_service.record_address(MAC, ADDRESS, exchange=client.exchange or 0)
        return offer

    async def script(self, language: ScriptLanguage = ScriptLanguage.IPXE) -> str:
        script = await self.services.script_service.serve_script(MAC, ADDRESS, language, base_url=BASE_URL)
        assert isinstance(script.plan, LocalBootPlan)
        return script.text.rpartition("show cp1")[2].lstrip("'").strip()

    @property
    def known(self) -> Any:
        seen = self.services.seen.get(MAC)
        assert seen is not None
        return next(iter(seen.machine.local_boots.values()))


def _without(events: Any, *names: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in events if event.name in names]


LOCAL_DISK: Final = Offer(OfferKind.LOCAL_DISK, MAC)


def test_a_uefi_machine_that_comes_back_at_once_is_led_to_its_disk_by_the_next_methods(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X64_UEFI)
        offers = [machine.boots() for _ in range(4)]
        scripts = []
        for _ in range(3):
            machine.boots()
            machine.boots(Stage.IPXE)
            scripts.append(await machine.script())
        machine.boots()
        machine.boots(Stage.IPXE)
        sanboot = await machine.script()
        return offers, scripts, sanboot, await services.events()

    offers, scripts, sanboot, events = with_services(scenario)

    assert offers[:3] == [LOCAL_DISK] * 3
    assert offers[3] == Offer(OfferKind.LOADER, MAC, "snponly.efi")
    assert len(set(scripts)) == 1
    assert scripts[0].endswith("exit 1")
    assert "sanboot --no-describe --drive 0 --filename \\EFI\\redhat\\${loader} || exit 1" in sanboot
    changed = [
        {"firmware": "pxe/x64", "reason": "came-back", "from": "no-file", "to": "exit"},
        {"firmware": "pxe/x64", "reason": "came-back", "from": "exit", "to": "sanboot"},
    ]
    assert _without(events, "boot.local_boot_changed") == changed


def test_a_bios_is_led_by_sanboot_then_by_exit_then_by_a_menu_then_by_no_reply(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X86_BIOS)
        scripts = []
        for _ in range(6):
            machine.boots()
            machine.boots(Stage.IPXE)
            scripts.append(await machine.script())
        menu = [machine.boots() for _ in range(3)]
        withheld = [machine.boots() for _ in range(4)]
        return scripts, menu, withheld, machine.known, await services.events()

    scripts, menu, no_reply, known, events = with_services(scenario)

    assert ["sanboot --no-describe --drive 0x80 || exit 1" in script for script in scripts] == [True] * 3 + [False] * 3
    assert menu == [LOCAL_DISK] * 3
    assert no_reply[:3] == [Ignored(IgnoreReason.BOOTS_LOCALLY)] * 3
    assert no_reply[3] == Offer(OfferKind.LOADER, MAC, "undionly.kpxe")  # the first again
    assert (known.method, known.state) == (M.SANBOOT, LocalBootState.RESTING)
    failed = {"firmware": "pxe/x86-bios", "reason": "came-back", "method": "no-offer"}
    cure = "choose the disk in its boot order, and read its screen"
    assert _without(events, "boot.local_boot_failed") == [failed | {"cure": cure}]
    withheld = {"method": "no-offer", "stage": "firmware", "arch": "x86-bios", "protocol": "pxe"}
    assert _without(events, "boot.offer_withheld") == [withheld] * 3


def test_an_ipxe_in_rom_that_comes_back_is_led_by_the_next_method_and_without_a_script_at_the_end(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X86_BIOS)
        scripts = []
        for _ in range(6):
            assert machine.boots(Stage.IPXE) == Offer(OfferKind.SCRIPT, MAC)
            scripts.append(await machine.script())
        return scripts, machine.boots(Stage.IPXE), _without(await services.events(), "boot.script_served")

    scripts, menu, served = with_services(scenario)

    assert [script.endswith("sanboot --no-describe --drive 0x80 || exit 1") for script in scripts] == [
        *[True] * 3,
        *[False] * 3,
    ]
    assert [each["method"] for each in served] == [*["sanboot"] * 3, *["exit"] * 3]
    assert menu == LOCAL_DISK


async def install(services: BuiltServices, machine: Machine) -> str:
    """Install cp1, and let it restart; return the token of its Ignition."""
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    machine.boots()
    machine.boots(Stage.IPXE)
    await services.script_for(MAC, ADDRESS)
    tokens = services.install_moves.known(CP1).tokens
    for report in (Report.STARTED, Report.DONE):
        assert await services.document_service.report(tokens.report, report, address=ADDRESS) is None
    return tokens.ignition


def test_the_method_that_led_to_an_ignition_request_is_stored(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X64_UEFI_HTTP, BootProtocol.HTTP)
        token = await install(services, machine)
        offer = machine.boots()
        served = await services.document_service.serve_ignition(
            token, IgnitionPart.WRAPPER, address=ADDRESS, base_url=BASE_URL
        )
        assert isinstance(served, bytes)
        await services.machines.flush()
        stored = (await services.machines.all())[MAC]
        return offer, stored, await services.events()

    offer, stored, events = with_services(scenario)

    assert offer == LOCAL_DISK
    known = stored.local_boots["http/x64"]
    assert (known.method, known.state, known.worked, known.why) == (
        M.HTTP_404,
        LocalBootState.VERIFIED,
        M.HTTP_404,
        "ignition",
    )
    learned = {"firmware": "http/x64", "method": "http-404", "by": "ignition"}
    assert _without(events, "boot.local_boot_learned") == [learned]


def test_an_unseen_system_is_led_by_the_next_method_and_a_ready_one_keeps_it(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X64_UEFI)
        await install(services, machine)
        assert machine.boots() == LOCAL_DISK
        host = services.hosts.hosts[CP1]
        services.local_boots.record_unseen(host)
        machine.boots()
        machine.boots(Stage.IPXE)
        script = await machine.script()
        report = services.install_moves.known(CP1).tokens.report
        assert await services.document_service.report(report, Report.READY, address=ADDRESS) is None
        return script, machine.known, _without(await services.events(), "boot.local_boot_changed")

    script, known, changed = with_services(scenario)

    assert script.endswith("exit 1")
    assert (known.method, known.state, known.why) == (M.EXIT, LocalBootState.VERIFIED, "ready")
    assert changed == [{"firmware": "pxe/x64", "reason": "unseen", "from": "no-file", "to": "exit"}]


def test_the_hosts_file_fixes_the_method_for_a_firmware_that_it_fits(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        services.change_host("cp1", local_boot=M.EXIT)
        uefi = Machine(services, Arch.X64_UEFI)
        by_script = uefi.boots()
        uefi.boots(Stage.IPXE)
        script = await uefi.script()
        services.change_host("cp1", local_boot=M.HTTP_404)
        return by_script, script, uefi.boots()

    by_script, script, does_not_fit = with_services(scenario)

    assert by_script == Offer(OfferKind.LOADER, MAC, "snponly.efi")
    assert script.endswith("exit 1")
    assert does_not_fit == LOCAL_DISK


def test_grub_starts_the_loader_of_the_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        services.change_host("cp1", local_boot=M.GRUB)
        services.use(policy=replace(services.policy, loaders=dict.fromkeys(services.policy.loaders, "shimx64.efi")))
        machine = Machine(services, Arch.X64_UEFI)
        offer = machine.boots()
        return offer, await machine.script(ScriptLanguage.GRUB)

    offer, script = with_services(scenario)

    assert offer == Offer(OfferKind.LOADER, MAC, "shimx64.efi")
    assert "if search --no-floppy --file --set=root /EFI/redhat/$loader; then" in script
    assert "chainloader /EFI/redhat/$loader" in script


def test_what_is_kept_of_a_machine_that_shows_many_architectures_is_bounded(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X64_UEFI)
        machine.boots()
        services.local_boots.record_sign(services.hosts.hosts[CP1], "ready")
        for number in range(1000, 1000 + 2 * FIRMWARES):
            machine.arch = number  # type: ignore[assignment]  # of no known architecture
            machine.boots(Stage.IPXE)
            await machine.script()
        seen = services.seen.get(MAC)
        assert seen is not None
        return list(seen.machine.local_boots)

    last = 1000 + 2 * FIRMWARES
    names = ["pxe/x64", *(f"pxe/arch-{number}" for number in range(last - FIRMWARES + 1, last))]
    assert with_services(scenario) == names


def test_what_was_learned_never_leads_to_an_installer(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X86_BIOS)
        plans = []
        for _ in range(20):
            machine.boots()
            machine.boots(Stage.IPXE)
            plans.append(await services.script_for(MAC, ADDRESS))
        return plans

    assert {type(plan) for plan in with_services(scenario)} == {LocalBootPlan}


def test_an_armed_host_is_installed_whatever_was_learned(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        machine = Machine(services, Arch.X86_BIOS)
        services.change_host("cp1", local_boot=M.NO_OFFER)
        unarmed = machine.boots()
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)
        return unarmed, machine.boots()

    assert with_services(scenario) == (
        Ignored(IgnoreReason.BOOTS_LOCALLY),
        Offer(OfferKind.LOADER, MAC, "undionly.kpxe"),
    )
