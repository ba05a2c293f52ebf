"""Every branch of the decision has a row here."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from netboot.boot.decide import Decision, KnownFirmware, decide, script_without_install
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Cpu, Stage
from netboot.model.boot.offer import (
    Ignored,
    IgnoreReason,
    InspectPlan,
    LoaderRule,
    LocalBootPlan,
    Offer,
    OfferKind,
    Policy,
    RescuePlan,
    UnknownHosts,
    WaitPlan,
    WaitReason,
)
from netboot.model.host.firmware import BootVariant, LocalBoot, LocalBootMethod, ReplyVariant, RomIpxe
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.checks import CheckResult, InstallCheck
from netboot.model.install.inspection import Inspection
from netboot.model.install.install import Install, InstallState
from netboot.model.install.wipe import Wipe, WipeState

MAC = Mac.parse("52:54:00:aa:bb:01")
CP1 = Host(HostName("cp1"), Role.CONTROL_PLANE, (MAC,))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
LOADERS = {
    (BootProtocol.PXE, Cpu.X86_BIOS): "undionly.kpxe",
    (BootProtocol.PXE, Cpu.X64): "snponly.efi",
    (BootProtocol.HTTP, Cpu.X64): "snponly.efi",
}
IGNORES = Policy(UnknownHosts.IGNORE, LOADERS)
WAITS = Policy(UnknownHosts.WAIT, LOADERS)

BIOS = BootClient(MAC, Arch.X86_BIOS, BootProtocol.PXE, Stage.FIRMWARE)
UEFI = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
UEFI_9 = BootClient(MAC, Arch.X64_UEFI_9, BootProtocol.PXE, Stage.FIRMWARE)
HTTP = BootClient(MAC, Arch.X64_UEFI_HTTP, BootProtocol.HTTP, Stage.FIRMWARE)
HTTP_AS_7 = BootClient(MAC, Arch.X64_UEFI, BootProtocol.HTTP, Stage.FIRMWARE)
ARM = BootClient(MAC, Arch.ARM64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
IPXE = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.IPXE)
IPXE_ON_BIOS = BootClient(MAC, Arch.X86_BIOS, BootProtocol.PXE, Stage.IPXE)
UBOOT = BootClient(MAC, Arch.UBOOT_ARM64, BootProtocol.PXE, Stage.FIRMWARE)
ITANIUM = BootClient(MAC, 2, BootProtocol.PXE, Stage.FIRMWARE)
IPXE_ON_RISCV32 = BootClient(MAC, 25, BootProtocol.PXE, Stage.IPXE)
BY_NUMBER = Policy(
    UnknownHosts.IGNORE,
    {**LOADERS, (BootProtocol.PXE, Cpu.ARM64): "snponly-arm64.efi"},
    rules=(
        LoaderRule(None, None, "itanium.efi", arch=2),
        LoaderRule(None, None, "uboot.efi", arch=22, oui="52:54:00"),
        LoaderRule(None, None, "bios-by-http.pxe", arch=20),
        LoaderRule(None, None, "last", arch=65535),
    ),
)
IPXE_ON_ARM = BootClient(MAC, Arch.ARM64_UEFI, BootProtocol.PXE, Stage.IPXE)


def unarmed(state: InstallState = InstallState.REGISTERED) -> Install:
    return Install(CP1.name, state)


def armed(state: InstallState = InstallState.REGISTERED) -> Install:
    return Install(CP1.name, state).armed(at=NOW, reason="test", attempts=3)


def loader(name: str) -> Offer:
    return Offer(OfferKind.LOADER, MAC, name)


SCRIPT = Offer(OfferKind.SCRIPT, MAC)
LOCAL_DISK = Offer(OfferKind.LOCAL_DISK, MAC)


def answer(
    client: BootClient,
    host: Host | None,
    install: Install | None,
    policy: Policy,
    known: KnownFirmware | None = None,
) -> Offer | Ignored:
    """What a client is offered, without the client at its stage."""
    decided = decide(client, host, install, policy, firmware=known or KnownFirmware())
    return decided.offer if isinstance(decided, Decision) else decided


@pytest.mark.parametrize(
    ("client", "install", "expected"),
    [
        pytest.param(BIOS, armed(), loader("undionly.kpxe"), id="armed-bios-gets-undionly"),
        pytest.param(UEFI, armed(), loader("snponly.efi"), id="armed-uefi-gets-the-loader"),
        pytest.param(UEFI_9, armed(), loader("snponly.efi"), id="9-is-x64-too"),
        pytest.param(HTTP, armed(), loader("snponly.efi"), id="armed-http-boot-gets-the-loader"),
        pytest.param(HTTP_AS_7, armed(), loader("snponly.efi"), id="an-http-client-that-says-7-is-x64-by-http"),
        pytest.param(ARM, armed(), Ignored(IgnoreReason.NO_LOADER_FOR_ARCH), id="no-loader-for-arm64-is-no-answer"),
        pytest.param(IPXE, armed(), SCRIPT, id="armed-ipxe-gets-the-script"),
        pytest.param(IPXE_ON_ARM, armed(), SCRIPT, id="ipxe-needs-no-loader-of-ours"),
        pytest.param(UEFI, armed(InstallState.READY), loader("snponly.efi"), id="a-ready-host-armed-again-installs"),
        pytest.param(UEFI, armed(InstallState.FAILED), loader("snponly.efi"), id="a-failed-attempt-is-tried-again"),
        pytest.param(UEFI, unarmed(), LOCAL_DISK, id="registered-is-not-armed"),
        pytest.param(HTTP, unarmed(), LOCAL_DISK, id="http-boot-of-an-unarmed-host-ends"),
        pytest.param(ARM, unarmed(), LOCAL_DISK, id="local-boot-needs-no-loader"),
        pytest.param(IPXE, unarmed(), SCRIPT, id="unarmed-ipxe-gets-a-script-that-leaves"),
        pytest.param(IPXE_ON_BIOS, unarmed(), SCRIPT, id="and-so-on-bios"),
        pytest.param(BIOS, unarmed(), loader("undionly.kpxe"), id="unarmed-bios-gets-ipxe-whose-script-leaves"),
        *(
            pytest.param(UEFI, unarmed(state), LOCAL_DISK, id=f"unarmed-{state}-boots-its-disk")
            for state in InstallState
        ),
    ],
)
def test_a_registered_host_is_offered(client: BootClient, install: Install, expected: Offer | Ignored):
    assert answer(client, CP1, install, IGNORES) == expected


@pytest.mark.parametrize(
    ("client", "method", "expected"),
    [
        (UEFI, LocalBootMethod.EXIT, loader("snponly.efi")),
        (UEFI, LocalBootMethod.NO_FILE, LOCAL_DISK),
        (UEFI, LocalBootMethod.NO_OFFER, Ignored(IgnoreReason.BOOTS_LOCALLY)),
        (HTTP, LocalBootMethod.HTTP_404, LOCAL_DISK),
        (BIOS, LocalBootMethod.NO_FILE, LOCAL_DISK),
        (BIOS, LocalBootMethod.NO_OFFER, Ignored(IgnoreReason.BOOTS_LOCALLY)),
    ],
)
def test_an_unarmed_host_is_led_to_its_disk_by_the_method_that_was_learned(
    client: BootClient, method: LocalBootMethod, expected: Offer | Ignored
):
    decided = decide(
        client, CP1, unarmed(), IGNORES, firmware=KnownFirmware(), local_boot=LocalBoot(method, why="came-back")
    )

    assert (decided.offer if isinstance(decided, Decision) else decided) == expected


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        pytest.param(ITANIUM, loader("itanium.efi"), id="a-number-without-a-cpu"),
        pytest.param(UBOOT, loader("uboot.efi"), id="a-number-of-a-known-cpu"),
        pytest.param(BootClient(MAC, 20, BootProtocol.HTTP, Stage.FIRMWARE), loader("bios-by-http.pxe"), id="by-http"),
        pytest.param(BootClient(MAC, 65535, BootProtocol.PXE, Stage.FIRMWARE), loader("last"), id="the-last-number"),
        pytest.param(ARM, loader("snponly-arm64.efi"), id="another-number-of-that-cpu-is-not-meant"),
        pytest.param(
            BootClient(MAC, 3, BootProtocol.PXE, Stage.FIRMWARE),
            Ignored(IgnoreReason.UNKNOWN_ARCHITECTURE),
            id="a-number-that-nobody-named",
        ),
    ],
)
def test_an_operator_gives_any_architecture_a_loader_by_its_number(client: BootClient, expected: Offer | Ignored):
    assert answer(client, CP1, armed(), BY_NUMBER) == expected


@pytest.mark.parametrize(
    ("client", "install", "expected"),
    [
        pytest.param(UBOOT, armed(), loader("snponly-arm64.efi"), id="u-boot-runs-the-arm64-loader"),
        pytest.param(ITANIUM, armed(), Ignored(IgnoreReason.UNKNOWN_ARCHITECTURE), id="nothing-for-an-unknown-number"),
        pytest.param(ITANIUM, unarmed(), Ignored(IgnoreReason.UNKNOWN_ARCHITECTURE), id="unarmed-nothing-either"),
        pytest.param(IPXE_ON_RISCV32, armed(), SCRIPT, id="an-ipxe-of-any-architecture-gets-its-script"),
    ],
)
def test_u_boot_and_architectures_without_a_cpu(client: BootClient, install: Install, expected: Offer | Ignored):
    policy = Policy(UnknownHosts.IGNORE, {**LOADERS, (BootProtocol.PXE, Cpu.ARM64): "snponly-arm64.efi"})

    assert answer(client, CP1, install, policy) == expected


@pytest.mark.parametrize(
    ("client", "policy", "expected"),
    [
        pytest.param(UEFI, IGNORES, Ignored(IgnoreReason.UNKNOWN_HOST), id="ignored-by-default"),
        pytest.param(UEFI, WAITS, loader("snponly.efi"), id="wait-leads-to-a-loader"),
        pytest.param(IPXE, WAITS, SCRIPT, id="wait-leads-to-a-script"),
        pytest.param(ARM, WAITS, Ignored(IgnoreReason.NO_LOADER_FOR_ARCH), id="wait-cannot-without-a-loader"),
    ],
)
def test_a_machine_that_nobody_registered_is_offered(client: BootClient, policy: Policy, expected: Offer | Ignored):
    assert answer(client, None, None, policy) == expected


@pytest.mark.parametrize(
    ("host", "install", "policy", "expected"),
    [
        pytest.param(None, None, IGNORES, LocalBootPlan(MAC, None), id="unknown-leaves"),
        pytest.param(None, None, WAITS, WaitPlan(MAC, WaitReason.UNKNOWN_HOST), id="unknown-waits-where-set"),
        pytest.param(CP1, None, IGNORES, WaitPlan(MAC, WaitReason.STORE_UNREACHABLE, CP1), id="no-store-no-install"),
        pytest.param(CP1, unarmed(), IGNORES, LocalBootPlan(MAC, CP1), id="unarmed-leaves"),
        pytest.param(CP1, armed(), IGNORES, None, id="armed-may-install"),
    ],
)
def test_the_script_of(host: Host | None, install: Install | None, policy: Policy, expected: object):
    assert script_without_install(MAC, host, install, policy) == expected


INSPECTS = Policy(UnknownHosts.INSPECT, LOADERS, inspect_media="ol9")
WAITS_WITH_MEDIUM = replace(INSPECTS, unknown=UnknownHosts.WAIT)
IGNORES_WITH_MEDIUM = replace(INSPECTS, unknown=UnknownHosts.IGNORE)
INSPECTED = Inspection(MAC, medium="ol9", begun_at=NOW)
WITH_OL8 = replace(INSPECTED, medium="ol8")
REQUESTED = Inspection(MAC).requested(NOW)
AGAIN = INSPECTED.requested(NOW)
OL8 = replace(CP1, boot_media="ol8")
WAITING = WaitPlan(MAC, WaitReason.UNKNOWN_HOST)


@pytest.mark.parametrize(
    ("host", "install", "policy", "inspection", "expected"),
    [
        pytest.param(None, None, INSPECTS, None, InspectPlan(MAC, "ol9"), id="unregistered-is-inspected"),
        pytest.param(None, None, INSPECTS, INSPECTED, WAITING, id="once-with-a-medium"),
        pytest.param(None, None, INSPECTS, WITH_OL8, InspectPlan(MAC, "ol9"), id="and-with-another-medium"),
        pytest.param(None, None, INSPECTS, AGAIN, InspectPlan(MAC, "ol9"), id="again-where-it-is-requested"),
        pytest.param(None, None, WAITS_WITH_MEDIUM, None, WAITING, id="not-where-all-wait"),
        pytest.param(None, None, WAITS_WITH_MEDIUM, REQUESTED, InspectPlan(MAC, "ol9"), id="requested-where-all-wait"),
        pytest.param(None, None, WAITS, REQUESTED, WAITING, id="requested-without-a-medium"),
        pytest.param(None, None, IGNORES_WITH_MEDIUM, REQUESTED, LocalBootPlan(MAC, None), id="ignored"),
        pytest.param(
            None, None, replace(INSPECTS, left_out=frozenset({MAC})), None, LocalBootPlan(MAC, None), id="left-out"
        ),
        pytest.param(OL8, unarmed(), INSPECTS, None, LocalBootPlan(MAC, OL8), id="a-host-boots-its-disk"),
        pytest.param(OL8, unarmed(), INSPECTS, INSPECTED, LocalBootPlan(MAC, OL8), id="a-host-that-was-inspected"),
        pytest.param(OL8, unarmed(), INSPECTS, REQUESTED, InspectPlan(MAC, "ol9", OL8), id="a-host-where-requested"),
        pytest.param(OL8, unarmed(), IGNORES, REQUESTED, InspectPlan(MAC, "ol8", OL8), id="a-host-by-its-own-medium"),
        pytest.param(CP1, unarmed(), IGNORES, REQUESTED, LocalBootPlan(MAC, CP1), id="a-host-without-any-medium"),
        pytest.param(OL8, armed(), INSPECTS, REQUESTED, None, id="an-armed-host-is-installed"),
        pytest.param(
            OL8, None, INSPECTS, REQUESTED, WaitPlan(MAC, WaitReason.STORE_UNREACHABLE, OL8), id="the-store-is-silent"
        ),
    ],
)
def test_a_machine_is_inspected(
    host: Host | None, install: Install | None, policy: Policy, inspection: Inspection | None, expected: object
):
    plan = script_without_install(MAC, host, install, policy, inspection=inspection, may_boot_once=True)
    not_its_own = script_without_install(MAC, host, install, policy, inspection=inspection)

    assert plan == expected
    assert not isinstance(not_its_own, InspectPlan)


@pytest.mark.parametrize(
    ("client", "host", "policy", "inspection", "expected"),
    [
        pytest.param(UEFI, None, INSPECTS, None, loader("snponly.efi"), id="unregistered-gets-the-loader"),
        pytest.param(IPXE, None, INSPECTS, INSPECTED, SCRIPT, id="unregistered-gets-its-script-again"),
        pytest.param(UEFI, OL8, INSPECTS, None, LOCAL_DISK, id="a-host-boots-its-disk"),
        pytest.param(UEFI, OL8, INSPECTS, REQUESTED, loader("snponly.efi"), id="a-host-that-is-inspected-next"),
        pytest.param(UEFI, OL8, INSPECTS, INSPECTED, LOCAL_DISK, id="a-host-that-was-inspected"),
    ],
)
def test_a_machine_that_is_inspected_next_gets_a_loader(
    client: BootClient, host: Host | None, policy: Policy, inspection: Inspection | None, expected: Offer
):
    install = unarmed() if host else None
    decided = decide(client, host, install, policy, firmware=KnownFirmware(), inspection=inspection)

    assert isinstance(decided, Decision)
    assert decided.offer == expected


RESCUE = Inspection(MAC).rescue_requested("ol9", at=NOW)
WIPE = Wipe(HostName("old1"), (MAC,), "/dev/disk/by-path/pci-1", WipeState.REQUESTED, NOW)
WIPED_NEXT = INSPECTED.wipe_requested(WIPE, "ol8")
BEGUN = WIPED_NEXT.begun("ol8", "t", at=NOW)
INCOMPLETE = replace(WAITS, is_complete=False)


@pytest.mark.parametrize(
    ("host", "install", "policy", "inspection", "expected"),
    [
        pytest.param(CP1, unarmed(), IGNORES, RESCUE, RescuePlan(MAC, "ol9", CP1), id="a-host-is-rescued"),
        pytest.param(CP1, armed(), IGNORES, RESCUE, RescuePlan(MAC, "ol9", CP1), id="before-it-is-installed"),
        pytest.param(CP1, unarmed(), IGNORES, RESCUE.withdrawn(), LocalBootPlan(MAC, CP1), id="and-then-no-more"),
        pytest.param(CP1, armed(), IGNORES, RESCUE.withdrawn(), None, id="and-then-installed"),
        pytest.param(
            CP1, None, IGNORES, RESCUE, WaitPlan(MAC, WaitReason.STORE_UNREACHABLE, CP1), id="not-without-the-store"
        ),
        pytest.param(None, None, WAITS, RESCUE, WAITING, id="no-unregistered-machine-is-rescued"),
        pytest.param(None, None, IGNORES, RESCUE, LocalBootPlan(MAC, None), id="nor-where-all-are-ignored"),
        pytest.param(
            None, None, IGNORES, WIPED_NEXT, InspectPlan(MAC, "ol8", wipe=WIPE), id="a-retired-machine-is-wiped"
        ),
        pytest.param(None, None, WAITS, WIPED_NEXT, InspectPlan(MAC, "ol8", wipe=WIPE), id="also-where-all-wait"),
        pytest.param(None, None, INSPECTS, WIPED_NEXT, InspectPlan(MAC, "ol8", wipe=WIPE), id="also-where-inspected"),
        pytest.param(None, None, WAITS, BEGUN, WAITING, id="and-then-no-more-wipe"),
        pytest.param(None, None, INCOMPLETE, WIPED_NEXT, WAITING, id="not-while-the-files-are-faulty"),
        pytest.param(
            None, None, replace(WAITS, left_out=frozenset({MAC})), WIPED_NEXT, LocalBootPlan(MAC, None), id="left-out"
        ),
        pytest.param(CP1, unarmed(), IGNORES, WIPED_NEXT, LocalBootPlan(MAC, CP1), id="no-host-is-wiped"),
        pytest.param(CP1, armed(), INSPECTS, WIPED_NEXT, None, id="nor-an-armed-one"),
    ],
)
def test_a_machine_boots_once(
    host: Host | None, install: Install | None, policy: Policy, inspection: Inspection, expected: object
):
    plan = script_without_install(MAC, host, install, policy, inspection=inspection, may_boot_once=True)
    not_its_own = script_without_install(MAC, host, install, policy, inspection=inspection)

    assert plan == expected
    assert not isinstance(not_its_own, InspectPlan | RescuePlan)


@pytest.mark.parametrize(
    ("client", "host", "policy", "inspection", "expected"),
    [
        pytest.param(UEFI, CP1, IGNORES, RESCUE, loader("snponly.efi"), id="a-host-that-is-rescued-next"),
        pytest.param(UEFI, CP1, IGNORES, RESCUE.withdrawn(), LOCAL_DISK, id="a-host-that-was-rescued"),
        pytest.param(UEFI, CP1, IGNORES, WIPED_NEXT, LOCAL_DISK, id="a-host-is-not-wiped"),
        pytest.param(UEFI, None, IGNORES, WIPED_NEXT, loader("snponly.efi"), id="a-machine-that-is-wiped-next"),
        pytest.param(IPXE, None, IGNORES, WIPED_NEXT, SCRIPT, id="its-ipxe"),
        pytest.param(
            UEFI, None, IGNORES, BEGUN, Ignored(IgnoreReason.UNKNOWN_HOST), id="a-machine-that-was-wiped-is-ignored"
        ),
        pytest.param(
            UEFI,
            None,
            replace(IGNORES, is_complete=False),
            WIPED_NEXT,
            Ignored(IgnoreReason.UNKNOWN_HOST),
            id="no-wipe-while-the-files-are-faulty",
        ),
    ],
)
def test_what_a_machine_boots_once_is_offered(
    client: BootClient, host: Host | None, policy: Policy, inspection: Inspection, expected: Offer | Ignored
):
    install = unarmed() if host else None
    decided = decide(client, host, install, policy, firmware=KnownFirmware(), inspection=inspection)

    assert (decided.offer if isinstance(decided, Decision) else decided) == expected


def test_after_a_failed_check_an_armed_host_waits_with_what_was_found_and_is_not_installed_again():
    found = "no disk fits hosts.cp1.disk (serial S1)"
    checks = (InstallCheck("firmware", CheckResult.PASS, "UEFI"), InstallCheck("disk", CheckResult.FAIL, found))
    install = replace(armed(), state=InstallState.FAILED, checks=checks)

    assert script_without_install(MAC, CP1, install, IGNORES) == WaitPlan(MAC, WaitReason.CHECKS_FAILED, CP1, found)
    assert answer(UEFI, CP1, install, IGNORES) == loader("snponly.efi")
    assert script_without_install(MAC, CP1, install.cancelled(), IGNORES) == LocalBootPlan(MAC, CP1)


LEAVES_OUT = Policy(UnknownHosts.WAIT, LOADERS, left_out=frozenset({MAC}))


@pytest.mark.parametrize(
    ("client", "host", "expected"),
    [
        pytest.param(UEFI, None, LOCAL_DISK, id="a-mac-of-a-faulty-host-boots-its-disk-where-others-wait"),
        pytest.param(UEFI, CP1, LOCAL_DISK, id="also-where-an-armed-host-has-it-too"),
        pytest.param(IPXE, CP1, SCRIPT, id="its-ipxe-gets-a-script-that-leaves"),
        pytest.param(BIOS, None, loader("undionly.kpxe"), id="its-bios-gets-ipxe-whose-script-leaves"),
    ],
)
def test_a_mac_of_a_faulty_host_boots_its_own_disk(client: BootClient, host: Host | None, expected: Offer):
    install = armed() if host else None

    assert answer(client, host, install, LEAVES_OUT) == expected
    assert script_without_install(MAC, host, install, LEAVES_OUT) == LocalBootPlan(MAC, host)


def test_a_loader_that_cannot_fetch_its_script_is_offered_nothing():
    client = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.IPXE_WITHOUT_HTTP)

    assert answer(client, CP1, armed(), WAITS) == Ignored(IgnoreReason.LOADER_WITHOUT_HTTP)


ROM_IPXE = replace(IPXE, is_etherboot=True, has_http=True)
GPXE = replace(UEFI, is_etherboot=True)
LOADER_WITHOUT_CLASS = replace(UEFI, is_etherboot=True, has_http=True)
REPLACES = replace(CP1, rom_ipxe=RomIpxe.REPLACE)


@pytest.mark.parametrize(
    ("client", "host", "firmware", "stage"),
    [
        pytest.param(ROM_IPXE, CP1, KnownFirmware(), Stage.IPXE, id="a-roms-ipxe-that-is-kept"),
        pytest.param(ROM_IPXE, None, KnownFirmware(), Stage.IPXE, id="a-roms-ipxe-of-an-unregistered-machine"),
        pytest.param(ROM_IPXE, REPLACES, KnownFirmware(), Stage.FIRMWARE, id="a-roms-ipxe-that-is-replaced"),
        pytest.param(ROM_IPXE, REPLACES, KnownFirmware(runs_loader=True), Stage.IPXE, id="the-loader-that-replaced-it"),
        pytest.param(UEFI, CP1, KnownFirmware(True, UEFI), Stage.FIRMWARE, id="firmware-soon-after-its-loader"),
        pytest.param(GPXE, CP1, KnownFirmware(), Stage.FIRMWARE, id="a-gpxe-in-a-rom"),
        pytest.param(GPXE, CP1, KnownFirmware(runs_loader=True), Stage.FIRMWARE, id="a-gpxe-after-no-firmware"),
        pytest.param(GPXE, CP1, KnownFirmware(True, GPXE), Stage.FIRMWARE, id="the-same-gpxe-again"),
        pytest.param(LOADER_WITHOUT_CLASS, CP1, KnownFirmware(True, UEFI), Stage.IPXE, id="a-loader-of-another-class"),
        pytest.param(LOADER_WITHOUT_CLASS, CP1, KnownFirmware(True, GPXE), Stage.IPXE, id="a-loader-after-a-gpxe"),
    ],
)
def test_a_client_is_at_its_stage(client: BootClient, host: Host | None, firmware: KnownFirmware, stage: Stage):
    install = armed() if host else None
    expected = Offer(OfferKind.SCRIPT, MAC) if stage is Stage.IPXE else loader("snponly.efi")

    decided = decide(client, host, install, WAITS, firmware=firmware)

    assert decided == Decision(replace(client, stage=stage), host, expected)


def test_a_loader_of_ours_that_was_built_without_http_is_offered_nothing():
    assert answer(GPXE, CP1, armed(), WAITS, KnownFirmware(True, UEFI)) == Ignored(IgnoreReason.LOADER_WITHOUT_HTTP)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        pytest.param(None, ReplyVariant.WITH_43, id="nothing-was-learned"),
        pytest.param(BootVariant(ReplyVariant.WITHOUT_43, "snponly.efi"), ReplyVariant.WITHOUT_43, id="what-worked"),
        pytest.param(BootVariant(ReplyVariant.WITHOUT_43, "gone.efi"), ReplyVariant.WITH_43, id="gone"),
    ],
)
def test_a_firmware_is_offered_what_it_was_found_to_understand(variant: BootVariant | None, expected: ReplyVariant):
    decided = decide(UEFI, CP1, armed(), IGNORES, firmware=KnownFirmware(), variant=variant)

    assert decided == Decision(UEFI, CP1, Offer(OfferKind.LOADER, MAC, "snponly.efi", expected))
