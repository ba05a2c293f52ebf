"""What an offer of another server does to each firmware, offer by offer."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.doctor.lan.firmware_effects import effect_of, firmware_effects
from netboot.doctor.lan.packets.server_offer import Request, ServerOffer
from netboot.model.boot.other_server import Here, ServerEffect
from netboot.model.host.mac import Mac

SERVER, NEXT = IPv4Address("192.0.2.254"), IPv4Address("192.0.2.9")
HERE = Here(frozenset({IPv4Address("192.0.2.10")}))
LEASE = ServerOffer(
    request=Request.UEFI_PXE,
    source=SERVER,
    server=SERVER,
    mac=Mac.parse("02:00:00:00:00:fe"),
    client=Mac.parse("02:6e:62:00:00:01"),
    exchange=1,
    leased=IPv4Address("192.0.2.100"),
    vendor_class="",
    file_field="",
    option_67="",
    siaddr=None,
    option_66="",
    option_43=b"",
    has_relay_option=False,
    relay=None,
    ends_proxies=False,
)
FILE = replace(LEASE, file_field="boot/foreign.efi", siaddr=NEXT)
PXE = replace(LEASE, vendor_class="PXEClient")
PROXY = replace(PXE, leased=None)
MENU = bytes.fromhex("0601080a0400505845 0902000000".replace(" ", "")) + b"\xff"


def effects(offer: ServerOffer, request: Request, **given: bool) -> tuple[str, ...]:
    return firmware_effects([replace(offer, request=request)], HERE, **given)


@pytest.mark.parametrize(
    ("offer", "effect"),
    [
        (LEASE, ServerEffect.NONE),
        (replace(LEASE, siaddr=NEXT), ServerEffect.NONE),
        (FILE, ServerEffect.BOOT_FILE),
        (replace(FILE, siaddr=IPv4Address("192.0.2.10")), ServerEffect.LEADS_HERE),
        (PXE, ServerEffect.PXE_OPTION),
        (PROXY, ServerEffect.PXE_SERVER),
    ],
)
def test_an_offer_is_classified_as_the_daemon_classifies_it(offer: ServerOffer, effect: ServerEffect) -> None:
    assert effect_of(offer, HERE, "s0") is effect


@pytest.mark.parametrize("request_of", list(Request))
@pytest.mark.parametrize("offer", [LEASE, replace(LEASE, siaddr=NEXT), replace(FILE, siaddr=IPv4Address("192.0.2.10"))])
def test_a_lease_without_a_boot_file_or_with_one_of_ours_affects_no_firmware(
    offer: ServerOffer, request_of: Request
) -> None:
    assert effects(offer, request_of) == ()


ROWS = [
    (
        FILE,
        Request.BIOS,
        ("a BIOS ROM that does not combine the offers of two servers loads boot/foreign.efi on 192.0.2.9",),
    ),
    (
        FILE,
        Request.UEFI_PXE,
        ("shim and GRUB request their next files from 192.0.2.9, directory boot, not from netboot",),
    ),
    (replace(FILE, file_field="", option_67="foreign.efi"), Request.UEFI_PXE, ()),
    (FILE, Request.UEFI_HTTP, ()),
    (FILE, Request.IPXE, ("iPXE loads boot/foreign.efi on 192.0.2.9 if netboot's offer comes later than the lease",)),
    (FILE, Request.PLAIN, ("U-Boot loads boot/foreign.efi on 192.0.2.9",)),
    (
        replace(LEASE, option_67="http://192.0.2.9/foreign.efi", vendor_class="HTTPClient"),
        Request.UEFI_HTTP,
        ("UEFI HTTP boot loads http://192.0.2.9/foreign.efi instead of netboot's loader",),
    ),
    (
        replace(LEASE, vendor_class="HTTPClient"),
        Request.UEFI_HTTP,
        ("UEFI HTTP boot takes 192.0.2.254 for its boot server, and its offer has no URI to boot from",),
    ),
    (PXE, Request.BIOS, ("a BIOS ROM requests its boot file from 192.0.2.254, port 4011: PXE-E55 without a reply",)),
    (
        PXE,
        Request.UEFI_PXE,
        ("UEFI PXE takes 192.0.2.254 for its boot server and ignores netboot's offer: PXE-E16 without a reply",),
    ),
    (
        replace(PXE, option_43=MENU),
        Request.BIOS,
        ("a BIOS ROM shows the boot menu of 192.0.2.254 instead of loading from netboot",),
    ),
    (
        PXE,
        Request.IPXE,
        ("iPXE takes this lease for the PXE offer and does not wait for netboot's: it boots nothing",),
    ),
    (
        replace(FILE, ends_proxies=True),
        Request.IPXE,
        ("iPXE does not wait for netboot's offer, because of option 175.176",),
    ),
    (PROXY, Request.BIOS, ("a BIOS ROM boots from the offer that it receives first, this or netboot's",)),
    (PROXY, Request.UEFI_PXE, ("UEFI PXE prefers the offer of netboot, which has option 43",)),
    (
        replace(PROXY, option_43=b"\x06\x01\x08\xff"),
        Request.UEFI_PXE,
        ("UEFI PXE boots from the first proxy offer with option 43, this or netboot's",),
    ),
    (
        replace(PROXY, vendor_class="HTTPClient"),
        Request.UEFI_HTTP,
        ("UEFI HTTP boot boots from one of two offers, this or netboot's",),
    ),
    (PROXY, Request.IPXE, ()),
]  # fmt: skip


@pytest.mark.parametrize(("offer", "request_of", "lines"), ROWS)
def test_each_firmware_follows_its_own_rule(offer: ServerOffer, request_of: Request, lines: tuple[str, ...]) -> None:
    assert effects(offer, request_of) == lines


def test_a_server_that_does_not_reply_on_port_4011_ends_the_boot() -> None:
    (line,) = effects(PXE, Request.UEFI_PXE, without_reply=True)

    assert line.endswith("it stops with PXE-E16, because that port does not reply")


def test_a_reply_to_another_machine_is_judged_for_both_firmwares() -> None:
    lines = effects(FILE, Request.UNKNOWN)

    assert [line.partition(" ")[0] for line in lines] == ["a", "shim"]
