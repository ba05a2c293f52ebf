"""The table of firmware that can be simulated; docs/wire.md describes each one."""

from collections.abc import Mapping
from typing import Final

from netboot.model.boot.boot_client import BootProtocol
from netboot.probe.firmwares.bios_clients import (
    grub_bootp_client,
    infiniband_client,
    rom_client,
    u_boot_client,
    uefi_client,
)
from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpRules
from netboot.probe.firmwares.edk2_clients import edk2_client
from netboot.probe.firmwares.firmware_profile import FROM_WIRE_MD, FirmwareProfile, LoaderProgram
from netboot.probe.firmwares.ipxe_clients import (
    IPXE_ARM64,
    IPXE_BIOS_ROM,
    IPXE_IA32,
    IPXE_UEFI_2019,
    IPXE_UEFI_2026,
    IPXE_UNDIONLY,
    IPXE_UNDIONLY_CHAINED,
    gpxe_client,
    ipxe_client,
)
from netboot.probe.firmwares.message_form import Chaddr

_PXE, _HTTP = BootProtocol.PXE, BootProtocol.HTTP
_UNDIONLY, _SNPONLY = ipxe_client(IPXE_UNDIONLY), ipxe_client(IPXE_UEFI_2019)
_IPXE_2026 = ipxe_client(IPXE_UEFI_2026)
_UEFI_CLASS: Final = b"PXEClient:Arch:00007:UNDI:003001"


def _bios(
    name: str, title: str, source: str, firmware: DhcpClient, loader: DhcpClient | None = _UNDIONLY,
    *, mac_prefix: str = "02:6e:62",
) -> FirmwareProfile:  # fmt: skip
    program = LoaderProgram.IPXE if loader else LoaderProgram.NONE
    return FirmwareProfile(name, title, source, 0, _PXE, firmware, loader, program, mac_prefix)


def _uefi(
    name: str, title: str, source: str, firmware: DhcpClient, *, arch: int = 7, protocol: BootProtocol = _PXE,
    loader: DhcpClient | None = _SNPONLY, program: LoaderProgram = LoaderProgram.IPXE, mac_prefix: str = "02:6e:62",
) -> FirmwareProfile:  # fmt: skip
    return FirmwareProfile(name, title, source, arch, protocol, firmware, loader, program, mac_prefix)


# fmt: off
_ALL: Final = (
    _bios("bios", "BIOS with a PXE ROM of Intel's kind, then undionly.kpxe",
          f"{FROM_WIRE_MD}: discover-bios; loader captured: lab-undionly", rom_client()),
    _uefi("edk2-pxe", "UEFI (EDK2, x64) by PXE, then snponly.efi",
          "captured: lab-ovmf-pxe, lab-ovmf-pxe-request, lab-ovmf-pxe-ipxe; boot: edk2-pxe, edk2-pxe-4011",
          edk2_client(7)),
    _uefi("edk2-pxe-4011", "UEFI (EDK2, x64) by PXE that takes its file from port 4011 in any case",
          f"{FROM_WIRE_MD}: discover-edk2-x64, request-edk2-4011", edk2_client(7, undi=1, requests_boot_server=True)),
    _uefi("edk2-http", "UEFI (EDK2, x64) by HTTP, then snponly.efi",
          "captured: lab-ovmf-http, lab-ovmf-http-ipxe; boot: edk2-http", edk2_client(16, _HTTP),
          arch=16, protocol=_HTTP),
    FirmwareProfile("ipxe-rom", "iPXE in the ROM of a card, under a BIOS",
                    "captured: lab-seabios-ipxe; boot: bios-ipxe-rom", 0, _PXE, ipxe_client(IPXE_BIOS_ROM), None,
                    LoaderProgram.IPXE),
    FirmwareProfile("ipxe-rom-replaced", "iPXE in the ROM of a card, under a BIOS, which undionly.kpxe replaces",
                    "captured: lab-seabios-ipxe; boot: bios-undionly", 0, _PXE, ipxe_client(IPXE_BIOS_ROM),
                    ipxe_client(IPXE_UNDIONLY_CHAINED), LoaderProgram.IPXE),
    FirmwareProfile("ipxe-loader", "iPXE of 2019 for UEFI that something else started: a stick, virtual media, a disk",
                    "captured: lab-ovmf-pxe-ipxe", 7, _PXE, None, _SNPONLY, LoaderProgram.IPXE),
    _uefi("ipxe-loader-autoexec", "UEFI (EDK2, x64) by PXE, then an iPXE that requests autoexec.ipxe",
          f"captured: lab-ovmf-pxe; loader {FROM_WIRE_MD}: discover-ipxe-x64", edk2_client(7), loader=_IPXE_2026,
          program=LoaderProgram.IPXE_AUTOEXEC),
    _uefi("shim-grub", "UEFI (EDK2, x64) by PXE with Secure Boot: shim, then GRUB",
          "captured: lab-ovmf-pxe, lab-ovmf-pxe-request; boot: edk2-pxe-shim", edk2_client(7), loader=None,
          program=LoaderProgram.SHIM_GRUB),
    _uefi("grub-http", "UEFI (EDK2, x64) by HTTP with Secure Boot: shim, then GRUB",
          "captured: lab-ovmf-http; boot: edk2-http-grub", edk2_client(16, _HTTP), arch=16, protocol=_HTTP, loader=None,
          program=LoaderProgram.GRUB_HTTP),
    _uefi("u-boot", "U-Boot on arm64, which runs EFI files and reads only the field `file`",
          f"{FROM_WIRE_MD}: discover-uboot-arm64", u_boot_client(), arch=22, loader=ipxe_client(IPXE_ARM64)),
    _uefi("arm64-edk2-pxe", "UEFI (EDK2, arm64) by PXE", "captured: lab-arm64-edk2; boot: arm64-edk2-pxe-grub",
          edk2_client(11), arch=11, loader=ipxe_client(IPXE_ARM64)),
    _uefi("arm64-edk2-http", "UEFI (EDK2, arm64) by HTTP", f"{FROM_WIRE_MD}: discover-edk2-arm64-http",
          edk2_client(19, _HTTP, undi=1), arch=19, protocol=_HTTP, loader=ipxe_client(IPXE_ARM64)),
    _uefi("ia32-edk2-pxe", "UEFI (EDK2, 32 bits) by PXE", FROM_WIRE_MD, edk2_client(6), arch=6,
          loader=ipxe_client(IPXE_IA32)),
    _uefi("ia32-edk2-http", "UEFI (EDK2, 32 bits) by HTTP", FROM_WIRE_MD, edk2_client(15, _HTTP), arch=15,
          protocol=_HTTP, loader=ipxe_client(IPXE_IA32)),
    _bios("bios-ignores-proxy", "BIOS with a ROM that does not merge two offers: it boots from its lease server only",
          FROM_WIRE_MD, rom_client(DhcpRules.LEASE_ONLY)),
    _bios("bios-long-67", "BIOS with an old ROM that reads option 67 up to the next zero byte", FROM_WIRE_MD,
          rom_client(DhcpRules.ROM_LONG_NAME)),
    _bios("flexboot", "FlexBoot, an iPXE without a user class in the ROM of a card, then undionly.kpxe", FROM_WIRE_MD,
          ipxe_client(IPXE_BIOS_ROM, user_class=b"")),
    _bios("raspberry-pi", "The boot ROM of a Raspberry Pi, which claims to be a BIOS", FROM_WIRE_MD,
          rom_client(DhcpRules.RASPBERRY_PI), None, mac_prefix="b8:27:eb"),
    _bios("intel-bios-no-97", "BIOS with a PXE ROM that sends no option 97", FROM_WIRE_MD,
          rom_client(has_uuid=False)),
    _bios("gpxe", "gPXE in the ROM of a card, then undionly.kpxe", f"{FROM_WIRE_MD}: discover-gpxe", gpxe_client()),
    _uefi("edk2-guid-chaddr", "UEFI (EDK2, x64) with the system's UUID in chaddr", FROM_WIRE_MD,
          edk2_client(7, chaddr=Chaddr.UUID)),
    _uefi("infiniband", "UEFI on InfiniBand, identified by option 61", f"{FROM_WIRE_MD}: infiniband-client-id",
          infiniband_client(Chaddr.NOTHING), loader=None, program=LoaderProgram.NONE,
          mac_prefix="02:6e:62:03:00"),
    _uefi("infiniband-guid", "UEFI on InfiniBand with the port's GUID in chaddr", f"{FROM_WIRE_MD}: infiniband-guid8",
          infiniband_client(Chaddr.GUID), loader=None, program=LoaderProgram.NONE, mac_prefix="02:6e:62:03:00"),
    _uefi("no-option-93", "UEFI that states its architecture in option 60 only", FROM_WIRE_MD,
          uefi_client(None, _UEFI_CLASS)),
    _uefi("option-93-list", "UEFI with two architectures in option 93, of which the first counts", FROM_WIRE_MD,
          uefi_client(b"\0\7\0\0", _UEFI_CLASS)),
    _uefi("option-93-odd", "UEFI with an option 93 of three bytes, so that option 60 counts", FROM_WIRE_MD,
          uefi_client(b"\0\7\0", _UEFI_CLASS)),
    FirmwareProfile("grub-bootp", "GRUB's net_bootp, which no PXE server may answer", FROM_WIRE_MD, 7, _PXE,
                    grub_bootp_client(), None, LoaderProgram.NONE),
)
# fmt: on
PROFILES: Final[Mapping[str, FirmwareProfile]] = {profile.name: profile for profile in _ALL}


def profile_named(name: str) -> FirmwareProfile:
    """Return the firmware of this name; raise ValueError with all names if there is none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"{name!r} is no firmware; choose one of {', '.join(PROFILES)}") from None
