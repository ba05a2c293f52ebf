"""iPXE's DHCP client: in a card's ROM, and loaded by a firmware; gPXE, its predecessor.

Captured: lab-seabios-ipxe, lab-undionly, lab-ovmf-pxe-ipxe, lab-ovmf-http-ipxe (iPXE of 2019), discover-ipxe-x64 and
discover-gpxe in tests/wire/captures. Waits from docs/wire.md.
"""

from dataclasses import dataclass, replace
from typing import Final

from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpRules, DhcpTiming
from netboot.probe.firmwares.message_form import BROADCAST_FLAG, Filled, MessageForm, OptionValue

# DISCOVER at 0, 1, 3 and 7 s; REQUEST from a quarter of a second on. Each wait doubles until it is above 10 s.
IPXE_TIMING: Final = DhcpTiming((1, 2, 4, 8), (0.25, 0.5, 1, 2, 4, 8), (0.25, 0.5, 1, 2), first_secs=4)

_TAKES_1472: Final = bytes.fromhex("05c0")
_PARAMETERS_2019: Final = bytes.fromhex("010306070c0f111a2b3c4243778081828384858687afcb")
_PARAMETERS_2026: Final = bytes.fromhex("010306070c0f111a2a2b3c424377798081828384858687afcb")
_BUS: Final = "b105011af41000"  # 175.177: PCI 1af4:1000, QEMU's virtio-net
_BIOS_2019: Final = bytes.fromhex(
    _BUS + "eb03010000 170101 220101 130101 110101 270101 190101 290101 100102 210101 150101 180101 120101"
)
_UEFI_2019: Final = bytes.fromhex(_BUS + "eb03010000 170101 240101 130101 110101 270101 290101 150101 120101")
_UEFI_2026: Final = bytes.fromhex(_BUS + "eb03020000 170101 220101 130101 270101 190101 100102 210101 150101 180101")
_GPXE: Final = bytes.fromhex("b10501808610 0e")

Options = tuple[tuple[int, OptionValue], ...]


@dataclass(frozen=True, slots=True)
class IpxeIdentity:
    """What differs between builds: architecture, network interface, vendor class, features and parameter list."""

    arch: int
    network_interface: bytes
    vendor_class: bytes
    features: bytes
    parameters: bytes = _PARAMETERS_2019
    flags: int = 0


IPXE_BIOS_ROM: Final = IpxeIdentity(0, b"\x01\x02\x01", b"PXEClient:Arch:00000:UNDI:002001", _BIOS_2019)
IPXE_UNDIONLY: Final = replace(IPXE_BIOS_ROM, flags=BROADCAST_FLAG)
IPXE_UNDIONLY_CHAINED: Final = replace(IPXE_UNDIONLY, vendor_class=b"PXEClient")  # of the offer that the ROM got
IPXE_UEFI_2019: Final = IpxeIdentity(7, b"\x01\x03\x0a", b"PXEClient:Arch:00007:UNDI:003010", _UEFI_2019)
# Its class is bare: a chained iPXE sends the class of the offer that its firmware got.
IPXE_UEFI_2026: Final = IpxeIdentity(7, b"\x01\x03\x10", b"PXEClient", _UEFI_2026, _PARAMETERS_2026, BROADCAST_FLAG)
IPXE_ARM64: Final = replace(IPXE_UEFI_2019, arch=11, vendor_class=b"PXEClient:Arch:00011:UNDI:003010")
IPXE_IA32: Final = replace(IPXE_UEFI_2019, arch=6, vendor_class=b"PXEClient:Arch:00006:UNDI:003010")


def ipxe_client(build: IpxeIdentity, *, user_class: bytes = b"iPXE") -> DhcpClient:
    """Return an iPXE; FlexBoot, a build of iPXE in a card's ROM, has no user class."""
    who: Options = ((77, user_class),) if user_class else ()
    common: Options = (
        (57, _TAKES_1472), (93, build.arch.to_bytes(2, "big")), (94, build.network_interface), (60, build.vendor_class),
        *who, (55, build.parameters), (175, build.features), (61, Filled.CLIENT_ID), (97, Filled.UUID),
    )  # fmt: skip
    return DhcpClient(
        DhcpRules.IPXE,
        discover=MessageForm(((53, b"\x01"), *common), flags=build.flags),
        request=MessageForm(((53, b"\x03"), *common, (54, Filled.SERVER), (50, Filled.ADDRESS)), flags=build.flags),
        boot_request=MessageForm(((53, b"\x03"), *common, (54, Filled.SERVER))),  # captured: foreign-server
        timing=IPXE_TIMING,
    )


def gpxe_client() -> DhcpClient:
    """Return gPXE on a BIOS: neither option 97 nor 61, and no feature HTTP in option 175."""
    common: Options = (
        (57, _TAKES_1472), (55, bytes(range(1, 20))), (93, b"\0\0"), (60, b"PXEClient:Arch:00000:UNDI:002001"),
        (77, b"gPXE"), (175, _GPXE),
    )  # fmt: skip
    return DhcpClient(
        DhcpRules.IPXE,
        discover=MessageForm(((53, b"\x01"), *common)),
        request=MessageForm(((53, b"\x03"), *common, (54, Filled.SERVER), (50, Filled.ADDRESS))),
        boot_request=MessageForm(((53, b"\x03"), *common, (54, Filled.SERVER))),
        timing=IPXE_TIMING,
    )
