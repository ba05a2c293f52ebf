"""The packets of each profile are byte for byte those that real firmware, or the example in docs/wire.md, has."""

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID

import pytest

from netboot.model.boot.boot_client import BootProtocol
from netboot.model.host.mac import Mac
from netboot.probe.firmwares.dhcp_client import MessageKind
from netboot.probe.firmwares.firmware_profile import FROM_WIRE_MD, DhcpStage, LoaderProgram
from netboot.probe.firmwares.message_form import Values
from netboot.probe.firmwares.profiles import PROFILES, profile_named

FIRMWARE, LOADER = DhcpStage.FIRMWARE, DhcpStage.LOADER
DISCOVER, REQUEST, BOOT_REQUEST = MessageKind.DISCOVER, MessageKind.REQUEST, MessageKind.BOOT_REQUEST
OF_EXAMPLES = UUID(bytes_le=bytes.fromhex("33221100554477668899aabbccddeeff"))
UNSET = UUID(int=0)  # QEMU without -uuid
CLIENT, GUID = "52:54:00:aa:bb:01", "b8:ce:f6:03:00:31:33:3e"
LEASE = {"server": IPv4Address("192.0.2.10"), "address": IPv4Address("192.0.2.124")}
LEASED = {"ciaddr": IPv4Address("192.0.2.50")}
CAPTURES = Path(__file__).parents[1] / "wire/captures"


@pytest.mark.parametrize(
    ("firmware", "stage", "kind", "name", "mac", "more"),
    [
        ("bios", FIRMWARE, DISCOVER, "discover-bios", CLIENT, {}),
        ("bios", LOADER, DISCOVER, "lab-undionly", "52:54:00:c0:00:04", {}),
        ("edk2-pxe", FIRMWARE, DISCOVER, "lab-ovmf-pxe", "52:54:00:c0:00:01", {}),
        ("edk2-pxe", FIRMWARE, REQUEST, "lab-ovmf-pxe-request", "52:54:00:c0:00:01", LEASE),
        ("edk2-pxe", LOADER, DISCOVER, "lab-ovmf-pxe-ipxe", "52:54:00:c0:00:01", {}),
        ("edk2-pxe-4011", FIRMWARE, DISCOVER, "discover-edk2-x64", CLIENT, {}),
        ("edk2-pxe-4011", FIRMWARE, BOOT_REQUEST, "request-edk2-4011", CLIENT, LEASED),
        ("edk2-http", FIRMWARE, DISCOVER, "lab-ovmf-http", "52:54:00:c0:00:02", {}),
        ("edk2-http", LOADER, DISCOVER, "lab-ovmf-http-ipxe", "52:54:00:c0:00:02", {}),
        ("ipxe-rom", FIRMWARE, DISCOVER, "lab-seabios-ipxe", "52:54:00:c0:00:03", {}),
        ("ipxe-loader", LOADER, DISCOVER, "lab-ovmf-pxe-ipxe", "52:54:00:c0:00:01", {}),
        ("ipxe-loader-autoexec", LOADER, DISCOVER, "discover-ipxe-x64", CLIENT, {}),
        ("shim-grub", FIRMWARE, DISCOVER, "lab-ovmf-pxe", "52:54:00:c0:00:01", {}),
        ("grub-http", FIRMWARE, DISCOVER, "lab-ovmf-http", "52:54:00:c0:00:02", {}),
        ("u-boot", FIRMWARE, DISCOVER, "discover-uboot-arm64", "52:54:00:aa:bb:11", {}),
        ("arm64-edk2-pxe", FIRMWARE, DISCOVER, "lab-arm64-edk2", "52:54:00:c0:00:05", {}),
        ("arm64-edk2-http", FIRMWARE, DISCOVER, "discover-edk2-arm64-http", CLIENT, {}),
        ("gpxe", FIRMWARE, DISCOVER, "discover-gpxe", CLIENT, {}),
        ("infiniband", FIRMWARE, DISCOVER, "infiniband-client-id", GUID, {}),
        ("infiniband-guid", FIRMWARE, DISCOVER, "infiniband-guid8", GUID, {}),
    ],
)
def test_a_message_is_the_captured_one(
    capture: Callable[[str], bytes],
    firmware: str,
    stage: DhcpStage,
    kind: MessageKind,
    name: str,
    mac: str,
    more: dict[str, IPv4Address],
) -> None:
    captured = capture(name)
    xid, secs = (int.from_bytes(captured[at : at + size], "big") for at, size in ((4, 4), (8, 2)))
    values = Values(Mac.parse(mac), UNSET if name.startswith("lab-") else OF_EXAMPLES, xid, secs, **more)

    assert profile_named(firmware).message(kind, values, stage).hex() == captured.hex()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_profile_names_captures_that_exist_and_the_stages_of_its_chain(profile) -> None:
    words = profile.source.replace(",", " ").replace(";", " ").split()
    named = [word for word in words if word.startswith(("lab-", "discover-", "request-", "infiniband-"))]

    assert profile.is_captured or profile.source.startswith(FROM_WIRE_MD)
    assert [name for name in named if not (CAPTURES / f"{name}.hex").exists()] == []
    assert profile.timing is profile.client(profile.stages[0]).timing
    assert (profile.loader is not None) <= (profile.loader_program in (LoaderProgram.IPXE, LoaderProgram.IPXE_AUTOEXEC))
    assert (profile.protocol is BootProtocol.HTTP) == ("-http" in profile.name)
    Mac.parse((profile.mac_prefix + ":00" * 8)[: 23 if "infiniband" in profile.name else 17])


def test_a_name_that_no_firmware_has_is_refused_with_all_names() -> None:
    with pytest.raises(ValueError, match="'edk3' is no firmware; choose one of bios, edk2-pxe, "):
        profile_named("edk3")


def test_a_stage_without_dhcp_is_refused() -> None:
    with pytest.raises(ValueError, match="shim-grub does no DHCP in the stage loader"):
        profile_named("shim-grub").client(LOADER)
