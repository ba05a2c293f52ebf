"""The methods that fit a firmware, in the order of their use, and the message for a fixed one that does not fit."""

from dataclasses import replace

import pytest

from netboot.boot.firmware.local_boot_methods import local_boot_methods, misfit
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Cpu, Stage
from netboot.model.boot.offer import Policy, UnknownHosts
from netboot.model.host.firmware import LocalBootMethod as M
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac

MAC = Mac.parse("52:54:00:aa:bb:01")
CP1 = Host(HostName("cp1"), Role.CONTROL_PLANE, (MAC,))
UEFI = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
UEFI_HTTP = BootClient(MAC, Arch.X64_UEFI_HTTP, BootProtocol.HTTP, Stage.FIRMWARE)
BIOS = BootClient(MAC, Arch.X86_BIOS, BootProtocol.PXE, Stage.FIRMWARE)
ARM64 = BootClient(MAC, Arch.ARM64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
POLICY = Policy(
    UnknownHosts.IGNORE,
    {
        (BootProtocol.PXE, Cpu.X64): "snponly.efi",
        (BootProtocol.HTTP, Cpu.X64): "snponly.efi",
        (BootProtocol.PXE, Cpu.X86_BIOS): "undionly.kpxe",
    },
    cpus={"grubx64.efi": Cpu.X64},
)
GRUB_HOST = replace(CP1, loader="grubx64.efi")


@pytest.mark.parametrize(
    ("client", "host", "methods"),
    [
        (UEFI, CP1, (M.NO_FILE, M.EXIT, M.SANBOOT, M.NO_OFFER)),
        (UEFI, GRUB_HOST, (M.NO_FILE, M.GRUB, M.EXIT, M.NO_OFFER)),
        (UEFI_HTTP, None, (M.HTTP_404, M.EXIT, M.SANBOOT, M.NO_OFFER)),
        (BIOS, CP1, (M.SANBOOT, M.EXIT, M.NO_FILE, M.NO_OFFER)),
        (ARM64, CP1, (M.NO_FILE, M.NO_OFFER)),
        (replace(UEFI, stage=Stage.IPXE), GRUB_HOST, (M.EXIT, M.SANBOOT, M.NO_OFFER)),
        (replace(BIOS, stage=Stage.IPXE), CP1, (M.SANBOOT, M.EXIT, M.NO_FILE, M.NO_OFFER)),
    ],
    ids=["uefi", "grub", "http", "bios", "no-loader", "ipxe", "ipxe-on-bios"],
)
def test_a_method_that_a_host_fixes_is_used_alone_if_it_fits(
    client: BootClient, host: Host | None, methods: tuple[M, ...]
):
    assert local_boot_methods(client, host, POLICY) == methods
    for method in M:
        fixed = replace(host or CP1, local_boot=method)
        assert local_boot_methods(client, fixed, POLICY) == ((method,) if method in methods else methods)
        assert (misfit(client, fixed, POLICY) is None) is (method in methods)


def test_a_host_that_fixes_none_has_no_misfit():
    assert misfit(UEFI, CP1, POLICY) is None


@pytest.mark.parametrize(
    ("client", "method", "text"),
    [
        (BIOS, M.HTTP_404, "pxe/x86-bios, so it is not used; choose one of sanboot, exit, no-file, no-offer"),
        (
            UEFI,
            M.GRUB,
            "pxe/x64, so it is not used; choose one of no-file, exit, sanboot, no-offer, "
            "or set its loader to shim or GRUB",
        ),
    ],
)
def test_a_method_that_does_not_fit_is_named_with_those_that_do(client: BootClient, method: M, text: str):
    assert misfit(client, replace(CP1, local_boot=method), POLICY) == (
        f"hosts.cp1.local_boot: {method} does not fit {text}"
    )
