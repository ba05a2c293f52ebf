"""One answer for lease and boot: each form byte for byte where it counts, by scapy's reading, and where it goes."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP, DHCP

from netboot.model.boot.boot_client import BootClient
from netboot.model.boot.offer import Offer, OfferKind
from netboot.model.host.mac import Mac
from netboot.model.lease import LeaseTerms
from netboot.wire.dhcp.lease_reply import LeaseAnswer, lease_reply, lease_reply_address, nak_reply
from netboot.wire.dhcp.message import DhcpMessage, Option, parse
from netboot.wire.dhcp.pxe import boot_client
from netboot.wire.dhcp.pxe_reply import ServerAddress, offer_reply

Capture = Callable[[str], bytes]

MAC = Mac("52:54:00:aa:bb:01")
SERVER = ServerAddress(IPv4Address("192.0.2.10"), 8080)
LOADER = Offer(OfferKind.LOADER, MAC, "undionly.kpxe")
HELD, RELAY = IPv4Address("192.0.2.60"), IPv4Address("198.51.100.1")
TERMS = LeaseTerms(
    network=IPv4Network("192.0.2.0/24"),
    address=IPv4Address("192.0.2.101"),
    lease_s=3601,
    router=IPv4Address("192.0.2.1"),
    nameservers=(IPv4Address("192.0.2.2"), IPv4Address("192.0.2.3")),
    host_name="cp1",
    domain="rack.example.org",
    ntp_servers=(IPv4Address("192.0.2.4"), IPv4Address("192.0.2.5")),
)
LEASE_OPTIONS = {
    51: (3601).to_bytes(4, "big"),
    58: (1800).to_bytes(4, "big"),
    59: (3150).to_bytes(4, "big"),
    1: bytes((255, 255, 255, 0)),
    3: bytes((192, 0, 2, 1)),
    6: bytes((192, 0, 2, 2, 192, 0, 2, 3)),
    12: b"cp1",
    15: b"rack.example.org",
    28: bytes((192, 0, 2, 255)),
    42: bytes((192, 0, 2, 4, 192, 0, 2, 5)),
}


def booting(message: DhcpMessage, offer: Offer = LOADER) -> tuple[BootClient, Offer]:
    client = boot_client(message)
    assert isinstance(client, BootClient)
    return client, offer


def a_plain(**fields: Any) -> DhcpMessage:
    """A request of a running system: no option 60."""
    message = DhcpMessage(op=1, xid=7, chaddr=bytes.fromhex("525400aabb01") + bytes(10), options={53: b"\3"})
    return replace(message, **fields)


def test_an_offer_to_firmware_is_the_proxys_offer_with_the_lease_behind_53_and_54(capture: Capture):
    request = parse(capture("discover-bios"))

    reply = lease_reply(request, LeaseAnswer.OFFER, TERMS, SERVER, boot=booting(request))

    proxy = offer_reply(request, *booting(request), SERVER)
    assert not isinstance(proxy, str)
    expected = parse(proxy.data)
    first = {code: expected.options[code] for code in (53, 54)}
    options = {**first, **LEASE_OPTIONS, **expected.options}
    assert parse(reply.data) == replace(expected, yiaddr=TERMS.address, options=options)
    assert list(parse(reply.data).options) == list(options)
    assert list(options)[-1] == Option.BOOT_FILE
    assert (reply.boot_file, reply.left_out) == ("undionly.kpxe", ())


@pytest.mark.parametrize("datagram", ["discover-bios", "discover-edk2-x64", "discover-relayed", "discover-ipxe-x64"])
@pytest.mark.parametrize("answer", [LeaseAnswer.OFFER, LeaseAnswer.ACK, LeaseAnswer.INFORM_ACK])
def test_a_pad_follows_the_boot_file_in_every_answer(capture: Capture, datagram: str, answer: LeaseAnswer):
    request = parse(capture(datagram))

    reply = lease_reply(request, answer, TERMS, SERVER, boot=booting(request))

    name = reply.boot_file.encode()
    assert bytes((67, len(name))) + name + b"\0" in reply.data


def test_a_client_that_does_not_boot_gets_the_lease_alone():
    request = a_plain(options={53: b"\1", 61: b"\0uuid", 82: b"\1\1x"})

    answer = parse(lease_reply(request, LeaseAnswer.OFFER, TERMS, SERVER, boot=None).data)

    assert list(answer.options.items()) == [
        (53, b"\2"), (54, bytes((192, 0, 2, 10))), *LEASE_OPTIONS.items(), (61, b"\0uuid"), (82, b"\1\1x"),
    ]  # fmt: skip
    assert (answer.siaddr, answer.file, answer.yiaddr) == (IPv4Address(0), b"", TERMS.address)


def test_a_network_without_router_servers_and_names_has_no_such_options():
    bare = LeaseTerms(IPv4Network("192.0.2.0/24"), IPv4Address("192.0.2.101"), 3600)

    answer = parse(lease_reply(a_plain(), LeaseAnswer.ACK, bare, SERVER, boot=None).data)

    assert list(answer.options) == [53, 54, 51, 58, 59, 1, 28]


def test_an_ack_carries_the_boot_again_and_the_clients_own_address():
    request = a_plain(ciaddr=HELD)

    answer = parse(lease_reply(request, LeaseAnswer.ACK, TERMS, SERVER, boot=None).data)

    assert (answer.message_type, answer.ciaddr, answer.yiaddr) == (5, HELD, TERMS.address)


def test_an_inform_is_answered_without_address_and_times():
    request = a_plain(ciaddr=HELD)

    answer = parse(lease_reply(request, LeaseAnswer.INFORM_ACK, replace(TERMS, address=None), SERVER, boot=None).data)

    assert (answer.message_type, answer.ciaddr, answer.yiaddr) == (5, HELD, IPv4Address(0))
    assert list(answer.options) == [53, 54, 1, 3, 6, 12, 15, 28, 42]


@pytest.mark.parametrize(("giaddr", "flags", "expected"), [(0, 0, 0), (0, 0x8000, 0x8000), (int(RELAY), 0, 0x8000)])
def test_a_nak_names_no_address_and_a_relay_broadcasts_it(giaddr: int, flags: int, expected: int):
    options = {53: b"\3", 61: b"\0u", 82: b"\1\1x"}
    request = a_plain(ciaddr=HELD, giaddr=IPv4Address(giaddr), flags=flags, options=options)

    answer = parse(nak_reply(request, "this address is not yours", SERVER).data)

    assert (answer.ciaddr, answer.yiaddr, answer.siaddr, answer.flags) == (*[IPv4Address(0)] * 3, expected)
    assert list(answer.options.items()) == [
        (53, b"\6"), (54, bytes((192, 0, 2, 10))), (56, b"this address is not yours"), (61, b"\0u"), (82, b"\1\1x"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "ciaddr", "giaddr", "to"),
    [
        (LeaseAnswer.OFFER, 0, 0, ("255.255.255.255", 68)),
        (LeaseAnswer.OFFER, int(HELD), 0, ("255.255.255.255", 68)),
        (LeaseAnswer.OFFER, 0, int(RELAY), ("198.51.100.1", 67)),
        (LeaseAnswer.ACK, 0, 0, ("255.255.255.255", 68)),
        (LeaseAnswer.ACK, int(HELD), 0, ("192.0.2.60", 68)),
        (LeaseAnswer.ACK, int(HELD), int(RELAY), ("198.51.100.1", 67)),
        (LeaseAnswer.INFORM_ACK, int(HELD), 0, ("192.0.2.60", 68)),
        (LeaseAnswer.NAK, int(HELD), 0, ("255.255.255.255", 68)),
        (LeaseAnswer.NAK, int(HELD), int(RELAY), ("198.51.100.1", 67)),
    ],
)
def test_each_answer_goes_where_its_client_can_hear_it(
    answer: LeaseAnswer, ciaddr: int, giaddr: int, to: tuple[str, int]
):
    message = a_plain(ciaddr=IPv4Address(ciaddr), giaddr=IPv4Address(giaddr))

    assert lease_reply_address(message, answer) == to


def test_names_are_left_out_before_what_a_boot_needs(capture: Capture):
    request = parse(capture("discover-bios"))
    request = replace(request, options={**request.options, 57: b"\2\x40", 61: b"\0" * 17, 82: bytes(180)})

    reply = lease_reply(request, LeaseAnswer.OFFER, TERMS, SERVER, boot=booting(request))

    assert len(reply.data) <= 548
    assert reply.left_out == (Option.BOOT_FILE, Option.DOMAIN_NAME)
    assert parse(reply.data).file == b"undionly.kpxe"


@pytest.mark.parametrize(
    "name", ["discover-bios", "discover-edk2-x64", "discover-ipxe-x64", "discover-edk2-arm64-http"]
)
def test_scapy_reads_lease_and_boot_out_of_one_packet(capture: Capture, name: str):
    request = parse(capture(name))
    kind = OfferKind.SCRIPT if "ipxe" in name else OfferKind.LOADER

    reply = lease_reply(request, LeaseAnswer.OFFER, TERMS, SERVER, boot=booting(request, Offer(kind, MAC, "x.efi")))

    read = BOOTP(reply.data)
    options = {each[0]: each[1] for each in read[DHCP].options if isinstance(each, tuple)}
    assert (read.yiaddr, read.siaddr) == ("192.0.2.101", "192.0.2.10")
    wanted = {"lease_time": 3601, "subnet_mask": "255.255.255.0", "router": "192.0.2.1", "domain": b"rack.example.org"}
    assert wanted.items() <= options.items()
    assert options["vendor_class_id"].startswith((b"PXEClient", b"HTTPClient"))


SUBNET = bytes((198, 51, 100, 0))


@pytest.mark.parametrize("answer", [LeaseAnswer.OFFER, LeaseAnswer.ACK, LeaseAnswer.INFORM_ACK])
@pytest.mark.parametrize(
    ("options", "comes_back"),
    [
        pytest.param({118: SUBNET}, True, id="118-was-obeyed"),
        pytest.param({118: SUBNET, 82: b"\5\4" + SUBNET}, False, id="82.5-was-obeyed-instead"),
        pytest.param({118: b"\1"}, False, id="no-address"),
        pytest.param({118: bytes(4)}, False, id="zeros"),
    ],
)
def test_the_subnet_comes_back_where_it_was_obeyed(answer: LeaseAnswer, options: dict[int, bytes], comes_back: bool):
    request = a_plain(options={53: b"\1", **options}, giaddr=RELAY)

    reported = parse(lease_reply(request, answer, TERMS, SERVER, boot=None).data)

    assert reported.options.get(118) == (SUBNET if comes_back else None)
    assert reported.options.get(82) == options.get(82)
