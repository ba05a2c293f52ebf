"""The loaders for a client: the first rule that applies, else the loaders for its protocol and CPU."""

from dataclasses import replace

import pytest

from netboot.model.boot.boot_client import BootClient, BootProtocol, Cpu, Stage
from netboot.model.boot.offer import InstallRequire, LoaderRule, Offer, OfferKind, Policy, UnknownHosts
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac

MAC, OTHER = Mac("52:54:00:aa:bb:01"), Mac("3c:fd:fe:00:00:01")
X64 = (BootProtocol.PXE, Cpu.X64)
RULES = (
    LoaderRule(None, None, "ppc.elf", arch=14),
    LoaderRule(BootProtocol.HTTP, Cpu.X64, "http.efi"),
    LoaderRule(None, None, "intel.efi", oui="3c:fd:fe", vendor_class="PXEClient"),
)
POLICY = Policy(
    UnknownHosts.IGNORE,
    {X64: "snponly.efi"},
    others={X64: ("ipxe.efi",)},
    rules=RULES,
    cpus={"mine.efi": Cpu.ARM64},
)


@pytest.mark.parametrize(
    ("mac", "arch", "protocol", "vendor_class", "loaders"),
    [
        (MAC, 7, BootProtocol.PXE, "PXEClient", ("snponly.efi", "ipxe.efi")),
        (MAC, 16, BootProtocol.HTTP, "HTTPClient", ("http.efi",)),
        (MAC, 14, BootProtocol.PXE, "PXEClient", ("ppc.elf",)),
        (OTHER, 7, BootProtocol.PXE, "PXEClient:Arch", ("intel.efi",)),
        (OTHER, 7, BootProtocol.PXE, "other", ("snponly.efi", "ipxe.efi")),
        (MAC, 11, BootProtocol.PXE, "PXEClient", ()),
        (MAC, 99, BootProtocol.PXE, "PXEClient", ()),
    ],
)
def test_the_first_rule_that_applies_names_the_loader(
    mac: Mac, arch: int, protocol: BootProtocol, vendor_class: str, loaders: tuple[str, ...]
):
    client = BootClient(mac, arch, protocol, Stage.FIRMWARE, vendor_class=vendor_class)

    assert POLICY.loaders_for(client) == loaders


def test_the_loaders_of_a_policy_are_listed_with_their_cpu():
    expected = {"snponly.efi", "ipxe.efi", "ppc.elf", "http.efi", "intel.efi", "mine.efi"}

    assert POLICY.every_loader() == expected
    assert (POLICY.cpu_of("mine.efi"), POLICY.cpu_of("undionly.kpxe")) == (Cpu.ARM64, Cpu.X86_BIOS)
    assert [rule.required_cpu for rule in RULES] == [None, Cpu.X64, None]


@pytest.mark.parametrize(
    ("boot_file", "expected"),
    [("shimx64.efi", True), ("EFI/GRUBX64.EFI", True), ("snponly.efi", False), ("grub/ipxe.efi", False), ("", False)],
)
def test_a_shim_or_grub_wants_a_directory_of_its_own(boot_file: str, expected: bool):
    assert Offer(OfferKind.LOADER, MAC, boot_file).needs_own_directory is expected


@pytest.mark.parametrize(
    ("of_host", "of_all", "expected"),
    [
        (None, InstallRequire.ADDRESS, False),
        (None, InstallRequire.APPROVAL, True),
        (InstallRequire.APPROVAL, InstallRequire.ADDRESS, True),
        (InstallRequire.ADDRESS, InstallRequire.APPROVAL, False),
    ],
)
def test_what_a_host_requires_comes_before_the_setting_for_all(
    of_host: InstallRequire | None, of_all: InstallRequire, expected: bool
):
    host = Host(HostName("cp1"), Role.WORKER, (MAC,), install_require=of_host)

    assert replace(POLICY, requires=of_all).requires_approval(host) is expected
