"""The DHCPv4 codec against captures, scapy and messages that Hypothesis generates."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from netboot.errors import WireError
from netboot.wire.dhcp.message import (
    NO_ADDRESS,
    DhcpMessage,
    MessageType,
    build,
    is_bogus_relay,
    parse,
    reply_address,
)

Capture = Callable[[str], bytes]

CLIENT = bytes.fromhex("525400aabb01") + bytes(10)
HEADER = bytes.fromhex("01010600aabb0101000480") + bytes(17) + CLIENT + bytes(192) + bytes.fromhex("63825363")
DISCOVER = bytes.fromhex("350101")


def a_message(**changes: object) -> DhcpMessage:
    return replace(DhcpMessage(op=1, xid=0xAABB0101, chaddr=CLIENT), **changes)


def with_fields(*, sname: bytes = b"", file: bytes = b"", options: bytes) -> bytes:
    return HEADER[:44] + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + HEADER[236:] + options


addresses = st.integers(0, 2**32 - 1).map(IPv4Address)


def trimmed(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=size).map(lambda raw: raw.rstrip(b"\0"))


messages = st.builds(
    DhcpMessage,
    op=st.sampled_from((1, 2)),
    xid=st.integers(0, 2**32 - 1),
    chaddr=st.binary(min_size=16, max_size=16),
    htype=st.integers(0, 255),
    hlen=st.integers(0, 16),
    hops=st.integers(0, 255),
    secs=st.integers(0, 65535),
    flags=st.integers(0, 65535),
    ciaddr=addresses,
    yiaddr=addresses,
    siaddr=addresses,
    giaddr=addresses,
    sname=trimmed(64),
    file=trimmed(128),
    options=st.dictionaries(
        st.integers(1, 254).filter(lambda code: code != 52), st.binary(min_size=1, max_size=255), max_size=12
    ),
)


@given(messages)
def test_what_is_built_is_parsed_back_whole(message: DhcpMessage) -> None:
    parsed = parse(build(message))

    assert parsed == message
    assert list(parsed.options) == list(message.options)


@given(st.binary(max_size=700) | st.binary(max_size=500).map(lambda tail: HEADER + tail))
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    try:
        message = parse(data)
    except WireError:
        return

    assert message.op in (1, 2)


@given(messages)
def test_scapy_reads_the_same_fields(message: DhcpMessage) -> None:
    theirs = BOOTP(build(message))

    assert (theirs.op, theirs.htype, theirs.hlen, theirs.hops, theirs.xid, theirs.secs, int(theirs.flags)) == (
        message.op,
        message.htype,
        message.hlen,
        message.hops,
        message.xid,
        message.secs,
        message.flags,
    )
    assert [theirs.ciaddr, theirs.yiaddr, theirs.siaddr, theirs.giaddr] == [
        str(address) for address in (message.ciaddr, message.yiaddr, message.siaddr, message.giaddr)
    ]
    assert (theirs.chaddr, theirs.file.rstrip(b"\0")) == (message.chaddr, message.file)


def test_a_capture_is_read_field_by_field(capture: Capture) -> None:
    message = parse(capture("request-edk2-4011"))

    assert message == DhcpMessage(
        op=1,
        xid=0xAABB0606,
        chaddr=CLIENT,
        ciaddr=IPv4Address("192.0.2.50"),
        options={
            53: b"\x03",
            57: b"\x05\xc0",
            55: bytes.fromhex("0102030405060c0d0f111216171c28292a2b3233363a3b3c4243618081828384858687"),
            97: bytes.fromhex("0033221100554477668899aabbccddeeff"),
            94: b"\x01\x03\x01",
            93: b"\x00\x07",
            60: b"PXEClient:Arch:00007:UNDI:003001",
        },
    )
    assert message.message_type is MessageType.REQUEST


def test_scapys_message_is_read_as_scapy_meant_it() -> None:
    theirs = BOOTP(chaddr=CLIENT, xid=7, giaddr="198.51.100.1", hops=1, flags="B") / DHCP(
        options=[("message-type", "discover"), ("vendor_class_id", b"PXEClient"), "end"]
    )

    assert parse(bytes(theirs)) == DhcpMessage(
        op=1,
        xid=7,
        chaddr=CLIENT,
        hops=1,
        flags=0x8000,
        giaddr=IPv4Address("198.51.100.1"),
        options={53: b"\x01", 60: b"PXEClient"},
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="an empty datagram"),
        pytest.param(HEADER[:239], id="239 bytes"),
        pytest.param(b"\x00" + HEADER[1:], id="op 0"),
        pytest.param(b"\x03" + HEADER[1:], id="op 3"),
        pytest.param(HEADER[:2] + b"\x11" + HEADER[3:], id="hlen 17"),
        pytest.param(HEADER[:2] + b"\x14" + HEADER[3:], id="hlen 20 of Ethernet"),
        pytest.param(HEADER[:1] + b"\x20\x15" + HEADER[3:], id="hlen 21 of InfiniBand"),
        pytest.param(HEADER[:236] + bytes(4), id="no cookie: plain BOOTP"),
        pytest.param(HEADER + DISCOVER + b"\x3c", id="a code without a length"),
        pytest.param(HEADER + DISCOVER + bytes.fromhex("5d0200003cc8505845436c69656e74"), id="a length past the end"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="cannot read"):
        parse(data)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(DISCOVER + b"\xff", {53: b"\x01"}, id="the plain case"),
        pytest.param(DISCOVER, {53: b"\x01"}, id="255 alone is missing"),
        pytest.param(b"", {}, id="nothing at all"),
        pytest.param(b"\x00\x00" + DISCOVER + b"\x00\xff", {53: b"\x01"}, id="padding anywhere"),
        pytest.param(DISCOVER + b"\xff\x3c\xc8junk", {53: b"\x01"}, id="nothing is read behind 255"),
        pytest.param(b"\x3c\x03PXE\x35\x01\x01\x3c\x06Client", {60: b"PXEClient", 53: b"\x01"}, id="60 in halves"),
        pytest.param(DISCOVER + DISCOVER, {53: b"\x01\x01"}, id="two 53s are one of two bytes"),
        pytest.param(b"\x3d\x00" + DISCOVER, {61: b"", 53: b"\x01"}, id="an option of no bytes"),
    ],
)
def test_options_are_read(options: bytes, expected: dict[int, bytes]) -> None:
    assert parse(HEADER + options).options == expected


@pytest.mark.parametrize(
    ("overload", "sname", "file", "expected"),
    [
        pytest.param(b"\x01", b"server", b"\x3c\x01P\xff", (b"server", b"", {60: b"P"}), id="file"),
        pytest.param(b"\x02", b"\x3c\x01P\xff", b"name", (b"", b"name", {60: b"P"}), id="sname"),
        pytest.param(b"\x03", b"\x3c\x01E\xff", b"\x3c\x02PX\xff", (b"", b"", {60: b"PXE"}), id="both, file first"),
        pytest.param(b"\x01", b"", b"\x34\x01\x02\x3c\x01P", (b"", b"", {60: b"P"}), id="a 52 inside counts not"),
        pytest.param(b"\x01", b"", b"\x3c\x01P" + b"\x3d\xff" * 62, (b"", b"", {60: b"P"}), id="garbage ends it"),
        pytest.param(b"\x04", b"a", b"b", (b"a", b"b", {}), id="an unknown value overloads nothing"),
        pytest.param(b"\x01\x01", b"a", b"b", (b"a", b"b", {}), id="a wrong length overloads nothing"),
        pytest.param(None, b"junk\xff", b"junk\x3c", (b"junk\xff", b"junk\x3c", {}), id="without 52 junk stays junk"),
    ],
)
def test_overloaded_fields_are_read(
    overload: bytes | None, sname: bytes, file: bytes, expected: tuple[bytes, bytes, dict[int, bytes]]
) -> None:
    option = b"" if overload is None else bytes((52, len(overload))) + overload

    message = parse(with_fields(sname=sname, file=file, options=option + b"\xff"))

    assert (message.sname, message.file, message.options) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x01", MessageType.DISCOVER),
        (b"\x08", MessageType.INFORM),
        (b"\x00", None),
        (b"\x09", None),
        (b"\xff", None),
        (b"", None),
        (b"\x01\x01", None),
        (None, None),
    ],
)
def test_option_53_is_one_byte_from_1_to_8(value: bytes | None, expected: MessageType | None) -> None:
    assert a_message(options={} if value is None else {53: value}).message_type is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, 576), (b"\x05\xc0", 1472), (b"\x00\x64", 576), (b"\xff\x00", 65280), (b"\x05", 576), (b"\0\0\5\xc0", 576)],
)
def test_option_57_is_576_where_it_is_absent_malformed_or_less(value: bytes | None, expected: int) -> None:
    assert a_message(options={} if value is None else {57: value}).largest_reply_bytes == expected


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"options": {60: b""}}, id="an option of no bytes"),
        pytest.param({"options": {60: bytes(256)}}, id="an option of 256 bytes"),
        pytest.param({"options": {52: b"\x01"}}, id="overload"),
        pytest.param({"options": {255: b"\x01"}}, id="an END with a value"),
        pytest.param({"file": bytes(129)}, id="a file of 129 bytes"),
        pytest.param({"sname": bytes(65)}, id="an sname of 65 bytes"),
    ],
)
def test_what_is_only_read_is_never_written(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"never written|option 67"):
        build(a_message(**changes))


def test_a_short_message_is_padded_to_300_bytes_behind_its_end() -> None:
    data = build(a_message(options={53: b"\x01"}))

    assert data[240:] == DISCOVER + b"\xff" + bytes(56)


@pytest.mark.parametrize("flags", [0, 0x8000])
def test_a_reply_goes_to_everybody_or_to_the_relay(flags: int) -> None:
    plain = a_message(flags=flags, ciaddr=IPv4Address("192.0.2.50"))

    assert reply_address(plain) == ("255.255.255.255", 68)
    assert reply_address(replace(plain, giaddr=IPv4Address("198.51.100.1"))) == ("198.51.100.1", 67)


@pytest.mark.parametrize(
    ("giaddr", "expected"),
    [
        ("0.0.0.0", False),
        ("198.51.100.1", False),
        ("0.0.0.1", True),
        ("127.0.0.1", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("192.0.2.10", True),
    ],
)
def test_a_relay_has_a_unicast_address_that_is_not_ours(giaddr: str, expected: bool) -> None:
    ours = {IPv4Address("192.0.2.10")}

    assert is_bogus_relay(a_message(giaddr=IPv4Address(giaddr)), ours) is expected


def test_an_address_option_has_four_bytes() -> None:
    message = a_message(options={50: bytes((192, 0, 2, 50)), 54: b"\x01"})

    assert [message.address_option(code) for code in (50, 54, 1)] == [IPv4Address("192.0.2.50"), None, None]
    assert message.ciaddr == NO_ADDRESS
