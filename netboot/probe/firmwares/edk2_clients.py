"""EDK2's DHCP clients, by PXE and by HTTP, as in OVMF and in most UEFI firmware of servers.

Captured: lab-ovmf-pxe, lab-ovmf-pxe-request, lab-ovmf-http, lab-arm64-edk2, discover-edk2-x64, discover-edk2-arm64-http
and request-edk2-4011 in tests/wire/captures; edk2-pxe-4011 and edk2-http in tests/captures. Waits from docs/wire.md.
"""

from typing import Final

from netboot.model.boot.boot_client import BootProtocol
from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpRules, DhcpTiming
from netboot.probe.firmwares.message_form import Chaddr, Filled, MessageForm, OptionValue

EDK2_TIMING: Final = DhcpTiming((4, 8, 16, 32), (4, 8, 16, 32), (1, 2, 3, 5))

_TAKES_1472: Final = bytes.fromhex("05c0")
_TAKES_65280: Final = bytes.fromhex("ff00")
_PXE_PARAMETERS: Final = bytes.fromhex("0102030405060c0d0f111216171c28292a2b3233363a3b3c4243618081828384858687")
# One byte of this list is not set by EDK2's code: eb in OVMF 2022.11, 00 in another build.
_HTTP_PARAMETERS: Final = bytes.fromhex("0102030405060c0d0f111216171c28292a2b3233363a3b3c eb 4361")
_HTTP_PARAMETERS_00: Final = bytes.fromhex("0102030405060c0d0f111216171c28292a2b3233363a3b3c 00 4361")

Options = tuple[tuple[int, OptionValue], ...]


def edk2_client(
    arch: int, protocol: BootProtocol = BootProtocol.PXE, *, undi: int = 0, chaddr: Chaddr = Chaddr.MAC,
    requests_boot_server: bool = False,
) -> DhcpClient:  # fmt: skip
    """Return EDK2 for an architecture of option 93; `undi` is the minor version of its network interface, 0 or 1."""
    is_http = protocol is BootProtocol.HTTP
    parameters = _PXE_PARAMETERS
    if is_http:
        parameters = _HTTP_PARAMETERS_00 if undi else _HTTP_PARAMETERS
    identity = _identity(arch, "HTTPClient" if is_http else "PXEClient", undi)
    in_discover: Options = ((57, _TAKES_1472), (55, parameters), *identity)
    takes = _TAKES_1472 if is_http else _TAKES_65280
    leased: Options = ((53, b"\x03"), (54, Filled.SERVER), (50, Filled.ADDRESS), (57, takes))
    unsorted = dict(identity)  # the driver of DHCP, which orders the options of the other messages, does not send it
    boot_request: Options = (
        (53, b"\x03"), (55, parameters), (57, _TAKES_1472), *((code, unsorted[code]) for code in (60, 93, 94, 97)),
    )  # fmt: skip
    return DhcpClient(
        DhcpRules.EDK2_HTTP if is_http else DhcpRules.EDK2,
        discover=MessageForm(((53, b"\x01"), *in_discover), chaddr=chaddr),
        request=MessageForm((*leased, (55, parameters), *identity), chaddr=chaddr),
        boot_request=MessageForm(boot_request, flags=0, chaddr=chaddr),
        timing=EDK2_TIMING,
        requests_boot_server=requests_boot_server,
    )


def _identity(arch: int, vendor: str, undi: int) -> Options:
    vendor_class = f"{vendor}:Arch:{arch:05}:UNDI:00300{undi}".encode()
    network_interface = bytes((1, 3, undi))
    return (97, Filled.UUID), (94, network_interface), (93, arch.to_bytes(2, "big")), (60, vendor_class)
