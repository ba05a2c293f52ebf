"""How each firmware chooses among the same offers, what it takes from them, and what it prints."""

from ipaddress import IPv4Address

import pytest
from fixtures.answers import reply

from netboot.probe.boot_failed import BootFailedError
from netboot.probe.dhcp.boot_request import RULES
from netboot.probe.dhcp.dhcp_answer import DhcpAnswer
from netboot.probe.dhcp.offer_choice import HeardOffers, OfferChoice
from netboot.probe.firmwares.dhcp_client import DhcpRules

OFFER, PXE, HTTP = (53, b"\2"), (60, b"PXEClient"), (60, b"HTTPClient")
TAKE = (43, b"\6\1\x08\xff")
URI = b"http://192.0.2.10:8080/bootfiles/a.efi"
FIRST = (175, b"\1\1\1")


def lease(*options: tuple[int, bytes], file: bytes = b"", siaddr: str = "0.0.0.0") -> DhcpAnswer:
    server = (54, bytes((192, 0, 2, 1)))
    return reply([OFFER, server, *options], yiaddr="192.0.2.50", file=file, siaddr=siaddr, source="192.0.2.1")


def proxy(*options: tuple[int, bytes], file: bytes = b"loader", siaddr: str = "192.0.2.10") -> DhcpAnswer:
    name = [(67, file)] if file else []
    return reply([OFFER, (54, bytes((192, 0, 2, 10))), *options, *name], file=file, siaddr=siaddr)


PLAIN, NAMED, BARE_LEASE = lease(), lease((67, b"foreign.0"), file=b"foreign.0"), lease(PXE)
FULL_LEASE = lease(PXE, TAKE, (67, b"loader"), file=b"loader", siaddr="192.0.2.1")
FULL, BARE = proxy(PXE, TAKE), proxy(PXE)


def choice_of(rules: DhcpRules, *offers: DhcpAnswer, elapsed_s: float = 4, fixed: bool = False) -> OfferChoice | None:
    return RULES[rules].choose(HeardOffers(offers, (), not fixed), elapsed_s)


@pytest.mark.parametrize("rules", [DhcpRules.EDK2, DhcpRules.ROM])
@pytest.mark.parametrize(
    ("offers", "lease_of", "boot_of", "needs_4011"),
    [
        ((FULL, PLAIN, FULL_LEASE), FULL_LEASE, None, False),  # 1: one server with all
        ((BARE_LEASE, BARE, PLAIN, FULL), PLAIN, FULL, False),  # 2: a lease, and a proxy with 43
        ((NAMED, FULL), NAMED, FULL, False),  # 2, although the lease names a file
        ((BARE_LEASE, FULL), BARE_LEASE, BARE_LEASE, True),  # 3: 4011 of the lease server
        ((PLAIN, BARE), PLAIN, BARE, True),  # 4: 4011 of the proxy
        ((PLAIN, NAMED), NAMED, None, False),  # 5: a lease with a file
    ],
)
def test_pxe_firmware_chooses_by_rank(
    rules: DhcpRules,
    offers: tuple[DhcpAnswer, ...],
    lease_of: DhcpAnswer,
    boot_of: DhcpAnswer | None,
    needs_4011: bool,
) -> None:
    choice = choice_of(rules, *offers)

    assert choice is not None
    assert choice.lease is lease_of
    assert (choice.boot and choice.boot.data) == (boot_of and boot_of.data)
    assert choice.needs_boot_server is needs_4011


@pytest.mark.parametrize("offers", [(), (PLAIN,), (FULL,), (PLAIN, proxy(HTTP))])
def test_pxe_firmware_sends_another_discover_without_lease_or_boot_file(offers: tuple[DhcpAnswer, ...]) -> None:
    assert choice_of(DhcpRules.EDK2, *offers) is None
    assert choice_of(DhcpRules.ROM, *offers) is None


def test_an_option_43_behind_67_is_lost_at_edk2_which_then_goes_to_4011() -> None:
    lost = reply([OFFER, PXE, (67, b"a.efi"), TAKE], siaddr="192.0.2.10")
    choice = choice_of(DhcpRules.EDK2, PLAIN, lost)

    assert choice is not None
    assert choice.needs_boot_server


@pytest.mark.parametrize("rules", [DhcpRules.EDK2, DhcpRules.EDK2_HTTP])
def test_edk2_drops_what_its_dhcp_driver_cannot_read(rules: DhcpRules) -> None:
    reason = RULES[rules].drop_reason

    assert reason(FULL) == ""
    assert reason(proxy(PXE, (61, b""))) == "EDK2 drops the reply of 192.0.2.10: option 61 has length 0"
    assert reason(reply(b"\x35\1\2")) == "EDK2 drops the reply of 192.0.2.10: END (255) is missing"
    assert reason(reply([OFFER], pad=1473)) == "EDK2 drops the reply of 192.0.2.10: 1473 bytes, it takes 1472"


def test_an_offer_without_a_file_leads_edk2_a_rom_and_ipxe_to_the_disk() -> None:
    disk = proxy(PXE, TAKE, file=b"")
    menu = proxy(PXE, (43, b"\x06\x01\x03\x09\x0d\0\0\x0aLocal disk\xff"), file=b"")

    assert RULES[DhcpRules.EDK2].local_boot(disk) == "PXE-E21: Remote boot cancelled"
    assert RULES[DhcpRules.EDK2].local_boot(FULL) == ""
    assert RULES[DhcpRules.ROM].local_boot(menu) == "the ROM's menu has the local disk only"
    assert RULES[DhcpRules.ROM].local_boot(disk) == ""
    ipxe = RULES[DhcpRules.IPXE]
    assert ipxe.local_boot(menu) == "iPXE prints Local disk, and ends"
    assert ipxe.local_boot(disk) == ipxe.local_boot(FULL) == ""
    assert ipxe.choose(HeardOffers([PLAIN, menu], (), is_lease_needed=True), 3) == OfferChoice(PLAIN, menu)
    assert ipxe.chosen_answer(OfferChoice(NAMED, menu), NAMED) is menu
    failure = RULES[DhcpRules.ROM].no_file(HeardOffers([disk], (), True), disk)
    assert "PXE-E78: Could not locate boot server" in failure.sentence


@pytest.mark.parametrize(
    ("offers", "elapsed_s", "expected"),
    [
        ((PLAIN, proxy(HTTP, file=URI)), 4, "proxy"),
        ((PLAIN, proxy(PXE, file=URI)), 4, ""),
        ((PLAIN, proxy(HTTP, file=b"a.efi")), 4, ""),
        ((proxy(HTTP, file=URI),), 4, ""),
        ((PLAIN, proxy(HTTP, file=b"http://boot.example.org/a.efi")), 4, ""),
        ((lease((6, b"\xc0\0\2\1")), proxy(HTTP, file=b"http://boot.example.org/a.efi")), 4, "proxy"),
        ((lease(HTTP, (67, URI)), proxy(HTTP, file=URI)), 4, "lease"),
    ],
)
def test_edk2_by_http_needs_a_uri_that_it_can_use(
    offers: tuple[DhcpAnswer, ...], elapsed_s: float, expected: str
) -> None:
    choice = choice_of(DhcpRules.EDK2_HTTP, *offers, elapsed_s=elapsed_s)

    assert ("" if choice is None else "proxy" if choice.boot else "lease") == expected


def test_ipxe_leaves_with_lease_and_proxy_and_waits_two_seconds_for_the_proxy() -> None:
    rules = RULES[DhcpRules.IPXE]

    assert rules.is_enough(HeardOffers([PLAIN, FULL], (), True))
    assert not rules.is_enough(HeardOffers([PLAIN], (), True))
    assert not rules.is_enough(HeardOffers([FULL], (), True))
    assert rules.is_enough(HeardOffers([FULL], (), False))
    assert rules.is_enough(HeardOffers([lease((175, b"\xb0\1\1"))], (), True))  # 175.176: no proxy
    assert choice_of(DhcpRules.IPXE, PLAIN, elapsed_s=1) is None
    assert choice_of(DhcpRules.IPXE, PLAIN, elapsed_s=3) == OfferChoice(PLAIN)
    assert choice_of(DhcpRules.IPXE, fixed=True) is None
    assert choice_of(DhcpRules.IPXE, FULL, fixed=True) == OfferChoice(None, FULL)


def test_a_class_in_the_lease_ends_the_wait_of_ipxe_and_its_offer_is_taken_for_the_proxys() -> None:
    rules = RULES[DhcpRules.IPXE]
    choice = choice_of(DhcpRules.IPXE, BARE_LEASE, elapsed_s=0.1)

    assert choice == OfferChoice(BARE_LEASE)
    assert rules.chosen_answer(choice, BARE_LEASE) is BARE_LEASE
    failure = rules.no_file(HeardOffers([BARE_LEASE], (), True), BARE_LEASE)
    assert failure.sentence.endswith("does not wait for netboot's offer; iPXE prints Nothing to boot")
    assert failure.cure == "remove option 60 from the lease server"


def test_the_priority_of_option_175_decides_at_ipxe() -> None:
    first, equal = proxy(PXE, TAKE, FIRST, file=b"script"), proxy(PXE, TAKE, file=b"script")
    chosen = RULES[DhcpRules.IPXE].chosen_answer

    assert chosen(OfferChoice(NAMED, first), NAMED) is first
    assert chosen(OfferChoice(NAMED, equal), NAMED) is NAMED
    assert chosen(OfferChoice(PLAIN, equal), PLAIN) is equal
    assert chosen(OfferChoice(PLAIN), PLAIN) is PLAIN
    assert choice_of(DhcpRules.IPXE, first, PLAIN, equal).boot is first
    assert choice_of(DhcpRules.IPXE, FULL, PLAIN, equal).boot is equal


def test_ipxe_goes_to_4011_for_what_an_offer_lacks() -> None:
    choices = [
        choice_of(DhcpRules.IPXE, PLAIN, proxy(PXE, **gap)) for gap in ({}, {"file": b""}, {"siaddr": "0.0.0.0"})
    ]

    assert [choice.needs_boot_server for choice in choices] == [False, True, True]


def test_u_boot_reads_only_the_field_and_the_address_of_a_proxy() -> None:
    option_only = reply([OFFER, PXE, (67, b"a.efi")], siaddr="192.0.2.10")

    assert choice_of(DhcpRules.U_BOOT, PLAIN, option_only) is None
    assert choice_of(DhcpRules.U_BOOT, FULL) is None
    assert choice_of(DhcpRules.U_BOOT, PLAIN, FULL) == OfferChoice(PLAIN, FULL)
    assert choice_of(DhcpRules.U_BOOT, NAMED) == OfferChoice(NAMED)


def test_a_raspberry_pi_takes_its_own_menu_only() -> None:
    menu = proxy(PXE, (43, b"\x09\x14\0\0\x11Raspberry Pi Boot\xff"))

    assert choice_of(DhcpRules.RASPBERRY_PI, PLAIN, FULL) is None
    assert choice_of(DhcpRules.RASPBERRY_PI, PLAIN, menu) == OfferChoice(PLAIN, menu)
    assert choice_of(DhcpRules.RASPBERRY_PI, menu) is None


def test_a_boot_offer_to_grubs_net_bootp_is_a_fault_of_that_server() -> None:
    with pytest.raises(BootFailedError, match=r"192.0.2.10 sends a boot offer to a DISCOVER without PXEClient"):
        choice_of(DhcpRules.GRUB_BOOTP, PLAIN, FULL)
    assert choice_of(DhcpRules.GRUB_BOOTP, PLAIN, NAMED) == OfferChoice(NAMED)


@pytest.mark.parametrize(
    ("rules", "offers", "dropped", "printed"),
    [
        (DhcpRules.EDK2, (), (), "PXE-E18"),
        (DhcpRules.EDK2, (), ("EDK2 drops the reply",), "PXE-E16"),
        (DhcpRules.EDK2, (PLAIN,), (), "PXE-E16"),
        (DhcpRules.ROM, (), (), "PXE-E51"),
        (DhcpRules.ROM, (FULL,), (), "PXE-E52"),
        (DhcpRules.ROM, (PLAIN,), (), "PXE-E53"),
        (DhcpRules.EDK2_HTTP, (PLAIN,), (), "no offer has the class HTTPClient"),
        (DhcpRules.EDK2_HTTP, (PLAIN, proxy(HTTP, file=b"a")), (), "has a URI that EDK2 can use"),
        (DhcpRules.EDK2_HTTP, (proxy(HTTP, file=URI),), (), "no server offers an address"),
        (DhcpRules.IPXE, (FULL,), (), "No configuration methods succeeded"),
        (DhcpRules.U_BOOT, (), (), "no server replied; U-Boot"),
        (DhcpRules.LEASE_ONLY, (), (), "PXE-E51"),
    ],
)
def test_a_firmware_prints_why_it_gives_up(
    rules: DhcpRules, offers: tuple[DhcpAnswer, ...], dropped: tuple[str, ...], printed: str
) -> None:
    failure = RULES[rules].no_offer(HeardOffers(offers, dropped, True))

    assert printed in failure.sentence
    assert failure.cure
    assert failure.evidence == (*(f"offer of {offer}" for offer in offers), *dropped)


def test_the_server_of_the_files_is_siaddr_else_that_of_option_54() -> None:
    assert proxy(PXE).boot_server == IPv4Address("192.0.2.10")
    assert lease().boot_server == IPv4Address("192.0.2.1")
