"""The state of a client by its message: RFC 2131's table 4 row by row, its identity, and invalid messages."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.errors import WireError
from netboot.model.host.mac import Mac
from netboot.model.lease import LeaseDropReason, LeaseRequest, LeaseRequestKind
from netboot.wire.dhcp.lease_request import lease_request
from netboot.wire.dhcp.message import DhcpMessage, parse
from netboot.wire.dhcp.pxe import DropReason

Capture = Callable[[str], bytes]

MAC = Mac("52:54:00:aa:bb:01")
HARDWARE = "hw:01:525400aabb01"
US, OTHER = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.1")
WANTED, HELD, RELAY = IPv4Address("192.0.2.50"), IPv4Address("192.0.2.60"), IPv4Address("198.51.100.1")
DISCOVER, OFFER, REQUEST, DECLINE, NAK, RELEASE, INFORM = 1, 2, 3, 4, 6, 7, 8


def a_message(
    kind: int, *, server: IPv4Address | None = None, requested: IPv4Address | None = None, **fields: object
) -> DhcpMessage:
    options = {53: bytes((kind,))}
    if server is not None:
        options[54] = server.packed
    if requested is not None:
        options[50] = requested.packed
    message = DhcpMessage(op=1, xid=1, chaddr=bytes.fromhex("525400aabb01") + bytes(10), options=options)
    return replace(message, **fields)  # type: ignore[arg-type]


def read(message: DhcpMessage, *, is_unicast: bool = False) -> object:
    return lease_request(message, {US}, is_unicast=is_unicast)


A = LeaseRequestKind
ROWS = [
    # message                                                  unicast  kind                 address
    (a_message(DISCOVER), False, A.DISCOVER, None),
    (a_message(DISCOVER, requested=WANTED), False, A.DISCOVER, WANTED),
    (a_message(REQUEST, server=US, requested=WANTED), False, A.SELECTING, WANTED),
    (a_message(REQUEST, server=OTHER, requested=WANTED), False, A.SELECTING_ANOTHER, WANTED),
    (a_message(REQUEST, requested=WANTED), False, A.INIT_REBOOT, WANTED),
    (a_message(REQUEST, ciaddr=HELD), True, A.RENEWING, HELD),
    (a_message(REQUEST, ciaddr=HELD), False, A.REBINDING, HELD),
    (a_message(REQUEST, ciaddr=IPv4Address("224.0.0.1")), False, A.REBINDING, None),
    (a_message(DECLINE, server=US, requested=WANTED), False, A.DECLINE, WANTED),
    (a_message(RELEASE, server=US, ciaddr=HELD), True, A.RELEASE, HELD),
    (a_message(RELEASE, ciaddr=HELD), True, A.RELEASE, HELD),
    (a_message(INFORM, ciaddr=HELD), False, A.INFORM, HELD),
]


@pytest.mark.parametrize(("message", "is_unicast", "kind", "address"), ROWS)
def test_a_message_is_read_as_the_state_of_its_client(
    message: DhcpMessage, is_unicast: bool, kind: LeaseRequestKind, address: IPv4Address | None
):
    assert read(message, is_unicast=is_unicast) == LeaseRequest(kind, HARDWARE, MAC, address)


def test_through_a_relay_a_renewal_is_a_rebinding():
    message = a_message(REQUEST, ciaddr=HELD, giaddr=RELAY)

    assert read(message, is_unicast=True) == LeaseRequest(A.REBINDING, HARDWARE, MAC, HELD, RELAY)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (a_message(REQUEST), LeaseDropReason.MISFORMED_REQUEST),
        (a_message(REQUEST, server=US), LeaseDropReason.MISFORMED_REQUEST),
        (a_message(REQUEST, server=US, requested=WANTED, ciaddr=HELD), LeaseDropReason.MISFORMED_REQUEST),
        (a_message(REQUEST, requested=WANTED, ciaddr=HELD), LeaseDropReason.MISFORMED_REQUEST),
        (a_message(DECLINE, server=OTHER, requested=WANTED), LeaseDropReason.OTHER_LEASE_SERVER),
        (a_message(RELEASE, server=OTHER, ciaddr=HELD), LeaseDropReason.OTHER_LEASE_SERVER),
        (a_message(OFFER), DropReason.OTHER_MESSAGE_TYPE),
        (a_message(NAK), DropReason.OTHER_MESSAGE_TYPE),
        (a_message(DISCOVER, op=2), DropReason.NOT_A_REQUEST),
        (a_message(DISCOVER, options={}), DropReason.NO_MESSAGE_TYPE),
        (a_message(DISCOVER, giaddr=US), DropReason.BOGUS_RELAY),
        (a_message(DISCOVER, giaddr=IPv4Address("127.0.0.1")), DropReason.BOGUS_RELAY),
        (a_message(DISCOVER, giaddr=IPv4Address("255.255.255.255")), DropReason.BOGUS_RELAY),
        (a_message(DISCOVER, hlen=0), DropReason.NO_MAC),
        (a_message(DISCOVER, chaddr=bytes(16)), DropReason.NO_MAC),
    ],
)
def test_what_gets_no_answer_has_its_reason(message: DhcpMessage, reason: LeaseDropReason | DropReason):
    assert read(message) is reason


@pytest.mark.parametrize(
    ("client_id", "named"), [(b"\xff\0\1", "id:ff0001"), (b"\1", HARDWARE), (b"", HARDWARE), (b"x" * 256, HARDWARE)]
)
def test_an_unregistered_client_is_its_option_61_else_its_hardware_address(client_id: bytes, named: str):
    message = a_message(DISCOVER)
    datagram = read(replace(message, options={**message.options, 61: client_id}))

    assert datagram == LeaseRequest(A.DISCOVER, named, MAC)


@pytest.mark.parametrize(
    "name", ["discover-bios", "discover-edk2-x64", "discover-ipxe-x64", "discover-edk2-arm64-http"]
)
def test_the_firmwares_that_we_know_request_an_address_too(capture: Capture, name: str):
    datagram = read(parse(capture(name)))

    assert isinstance(datagram, LeaseRequest)
    assert (datagram.kind, datagram.mac) == (A.DISCOVER, MAC)


@given(st.binary(min_size=240, max_size=600))
def test_any_message_is_a_request_or_has_a_drop_reason(data: bytes):
    data = b"\1\1\6\0" + data[4:236] + bytes.fromhex("63825363") + data[240:]
    try:
        message = parse(data)
    except WireError:
        return

    assert isinstance(read(message), LeaseRequest | LeaseDropReason | DropReason)


LINK = IPv4Address("203.0.113.0")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({82: b"\5\4" + LINK.packed}, LINK, id="82.5-alone"),
        pytest.param({82: b"\1\4eth0\5\4" + LINK.packed + b"\2\1x"}, LINK, id="82.5-among-others"),
        pytest.param({118: LINK.packed}, LINK, id="118"),
        pytest.param({82: b"\5\4" + LINK.packed, 118: WANTED.packed}, LINK, id="82.5-goes-before-118"),
        pytest.param({82: b"\1\4eth0", 118: LINK.packed}, LINK, id="82-without-5"),
        pytest.param({82: b"\5\3\1\2\3"}, None, id="82.5-too-short"),
        pytest.param({82: b"\5\4\1\2"}, None, id="82.5-past-the-end"),
        pytest.param({82: b"\1\x09\5\4" + LINK.packed + b"xyz"}, None, id="within-another-sub-option"),
        pytest.param({82: b"\5\4\0\0\0\0", 118: LINK.packed}, LINK, id="82.5-of-zeros"),
        pytest.param({82: b"\5\4\xe0\0\0\1"}, None, id="82.5-of-a-group"),
        pytest.param({118: b"\1\2\3"}, None, id="118-too-short"),
        pytest.param({118: b"\xff" * 4}, None, id="118-of-everybody"),
        pytest.param({}, None, id="neither"),
    ],
)
def test_the_subnet_that_a_relay_or_a_client_states(options: dict[int, bytes], expected: IPv4Address | None):
    message = a_message(DISCOVER, giaddr=RELAY)

    request = read(replace(message, options={**message.options, **options}))

    assert request == LeaseRequest(A.DISCOVER, HARDWARE, MAC, None, RELAY, expected)
