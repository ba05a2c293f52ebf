"""Intel's PXE ROM and its derivatives, and clients with rules of their own: U-Boot, a Raspberry Pi, GRUB's net_bootp.

Captured: discover-bios, discover-uboot-arm64, infiniband-client-id, infiniband-guid8 in tests/wire/captures. Waits, and
the order of options in a REQUEST, from docs/wire.md.
"""

from dataclasses import replace
from typing import Final

from netboot.probe.firmwares.dhcp_client import DhcpClient, DhcpRules, DhcpTiming
from netboot.probe.firmwares.message_form import INFINIBAND, Chaddr, Filled, MessageForm, OptionValue

ROM_TIMING: Final = DhcpTiming((4, 8, 16, 32), (4, 8, 16, 32), (1, 2, 3, 4), first_secs=4)
_U_BOOT_TIMING: Final = DhcpTiming((2, 4, 8, 16), (2, 4, 8, 16), (), first_secs=4)
_GRUB_TIMING: Final = DhcpTiming((1, 2, 4, 8), (1, 2, 4, 8), ())
_PADDED_BYTES: Final = 548
_PARAMETERS: Final = bytes.fromhex("0102030405060b0c0d0f10111216171c28292a2b3233363a3b3c42438081828384858687")
_SHORT_PARAMETERS: Final = bytes(range(1, 20))
_TAKES_1260: Final = bytes.fromhex("04ec")
_TAKES_1472: Final = bytes.fromhex("05c0")

Options = tuple[tuple[int, OptionValue], ...]


def rom_client(rules: DhcpRules = DhcpRules.ROM, *, has_uuid: bool = True) -> DhcpClient:
    """Return a BIOS ROM, which pads its messages to 548 bytes."""
    uuid: Options = ((97, Filled.UUID),) if has_uuid else ()
    identity: Options = (*uuid, (93, b"\0\0"), (94, b"\x01\x02\x01"), (60, b"PXEClient:Arch:00000:UNDI:002001"))
    limits: Options = ((55, _PARAMETERS), (57, _TAKES_1260))
    leased: Options = ((53, b"\x03"), (50, Filled.ADDRESS), *limits, (54, Filled.SERVER), *identity)
    return DhcpClient(
        rules,
        discover=MessageForm(((53, b"\x01"), *limits, *identity), padded_bytes=_PADDED_BYTES),
        request=MessageForm(leased, padded_bytes=_PADDED_BYTES),
        boot_request=MessageForm(((53, b"\x03"), *limits, *identity), flags=0, padded_bytes=_PADDED_BYTES),
        timing=ROM_TIMING,
    )


def uefi_client(architecture: bytes | None, vendor_class: bytes) -> DhcpClient:
    """Return an UEFI firmware with EDK2's rules and a short list of parameters; None: it sends no option 93."""
    arch: Options = () if architecture is None else ((93, architecture),)
    common: Options = ((57, _TAKES_1472), (55, _SHORT_PARAMETERS), *arch, (60, vendor_class))
    leased: Options = ((54, Filled.SERVER), (50, Filled.ADDRESS))
    return DhcpClient(
        DhcpRules.EDK2,
        discover=MessageForm(((53, b"\x01"), *common)),
        request=MessageForm(((53, b"\x03"), *leased, *common)),
        boot_request=MessageForm(((53, b"\x03"), *common), flags=0),
        timing=DhcpTiming((4, 8, 16, 32), (4, 8, 16, 32), (1, 2, 3, 5), first_secs=4),
    )


def u_boot_client() -> DhcpClient:
    """Return U-Boot on arm64, built to take the boot server from a proxy's offer (SERVERIP_FROM_PROXYDHCP)."""
    client = uefi_client(b"\0\x16", b"PXEClient:Arch:00022:UNDI:003000")
    return replace(client, rules=DhcpRules.U_BOOT, timing=_U_BOOT_TIMING)


def infiniband_client(chaddr: Chaddr) -> DhcpClient:
    """Return UEFI on InfiniBand: the port's GUID is in chaddr, or in option 61 with an empty chaddr (RFC 4390)."""
    client = uefi_client(b"\0\7", b"PXEClient:Arch:00007:UNDI:003001")
    identity: Options = ((61, Filled.PORT_GUID),) if chaddr is Chaddr.NOTHING else ()
    forms = {
        name: replace(form, htype=INFINIBAND, chaddr=chaddr, options=(*form.options, *identity))
        for name, form in (
            ("discover", client.discover), ("request", client.request), ("boot_request", client.boot_request),
        )
    }  # fmt: skip
    return replace(client, **forms)  # type: ignore[arg-type]


def grub_bootp_client() -> DhcpClient:
    """Return GRUB's `net_bootp`, whose DISCOVER has no option but 53."""
    leased: Options = ((53, b"\x03"), (54, Filled.SERVER), (50, Filled.ADDRESS))
    discover = MessageForm(((53, b"\x01"),), flags=0)
    return DhcpClient(DhcpRules.GRUB_BOOTP, discover, MessageForm(leased, flags=0), discover, _GRUB_TIMING)
