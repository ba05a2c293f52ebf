"""Replayed packets of the lab's firmware: each is recognised, and its reply is one that this firmware can use."""

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import Offer, OfferKind
from netboot.model.host.mac import Mac
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.pxe import DropReason
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress, offer_reply
from netboot.wire.tftp import packet as tftp

Capture = Callable[[str], bytes]

SERVER = ServerAddress(IPv4Address("192.0.2.10"), 8080)
OURS = {SERVER.address}
UEFI, BIOS, ARM = (f"PXEClient:Arch:{arch}" for arch in ("00007:UNDI:003000", "00000:UNDI:002001", "00011:UNDI:003000"))
HTTP = "HTTPClient:Arch:00016:UNDI:003000"
IPXE = "PXEClient:Arch:00007:UNDI:003010"
LOADER, SCRIPT = OfferKind.LOADER, OfferKind.SCRIPT


@pytest.mark.parametrize(
    ("name", "card", "arch", "protocol", "stage", "vendor_class"),
    [
        ("lab-ovmf-pxe", 1, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE, UEFI),
        ("lab-ovmf-pxe-ipxe", 1, Arch.X64_UEFI, BootProtocol.PXE, Stage.IPXE, IPXE),
        ("lab-ovmf-http", 2, Arch.X64_UEFI_HTTP, BootProtocol.HTTP, Stage.FIRMWARE, HTTP),
        ("lab-ovmf-http-ipxe", 2, Arch.X64_UEFI, BootProtocol.PXE, Stage.IPXE, IPXE),
        ("lab-seabios-ipxe", 3, Arch.X86_BIOS, BootProtocol.PXE, Stage.IPXE, BIOS),
        ("lab-undionly", 4, Arch.X86_BIOS, BootProtocol.PXE, Stage.IPXE, BIOS),
        ("lab-arm64-edk2", 5, Arch.ARM64_UEFI, BootProtocol.PXE, Stage.FIRMWARE, ARM),
    ],
)
def test_a_machine_is_recognised_by_its_discover_and_answered(
    capture: Capture, name: str, card: int, arch: Arch, protocol: BootProtocol, stage: Stage, vendor_class: str
) -> None:
    message = dhcp.parse(capture(name))
    client = pxe.offer_request(message, OURS)
    assert isinstance(client, BootClient)
    mac = Mac.parse(f"52:54:00:c0:00:0{card}")
    offer = Offer(SCRIPT, mac) if stage is Stage.IPXE else Offer(LOADER, mac, "loader.efi")
    reply = offer_reply(message, client, offer, SERVER)

    assert (client.mac, client.arch, client.protocol, client.stage) == (mac, arch, protocol, stage)
    assert client.vendor_class == vendor_class
    assert isinstance(reply, Reply)
    reported = dhcp.parse(reply.data)
    assert (reported.xid, reported.flags, reported.options[97]) == (message.xid, message.flags, message.options[97])
    assert (reported.file, reported.options[67]) == (reply.boot_file.encode(),) * 2


def test_the_request_to_the_lease_server_shows_the_machines_address_and_gets_no_reply(capture: Capture) -> None:
    message = dhcp.parse(capture("lab-ovmf-pxe-request"))

    assert pxe.offer_request(message, OURS) is DropReason.OTHER_MESSAGE_TYPE
    shown = pxe.address_shown(message)
    assert shown is not None
    assert shown[0] == Mac.parse("52:54:00:c0:00:01")
    assert shown[1] in {IPv4Address(f"192.0.2.{last}") for last in range(100, 151)}


def test_ovmf_probes_for_the_size_before_it_reads(capture: Capture) -> None:
    options = {"tsize": "0", "blksize": "1468", "windowsize": "4"}
    request = tftp.parse(capture("lab-ovmf-pxe-probe"))

    assert request == tftp.ReadRequest("snponly.efi", options=options)
    assert tftp.negotiate(request, 173_792, mtu=1500).acknowledged == {**options, "tsize": "173792"}
