"""TFTP packets and the options of a read (RFC 1350, 2347-2349, 7440)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.tftp import TFTP, TFTP_ACK, TFTP_ERROR, TFTP_RRQ, TFTP_Option, TFTP_Options
from tftpy.TftpPacketFactory import TftpPacketFactory
from tftpy.TftpPacketTypes import TftpPacketERR, TftpPacketOACK

from netboot.errors import WireError
from netboot.wire.tftp import packet as tftp
from netboot.wire.tftp.packet import (
    Ack,
    Error,
    ErrorCode,
    Mode,
    ReadRequest,
    RefusedRequestError,
    Terms,
    negotiate,
)

LAN = 1500

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
option_names = texts.filter(lambda name: name and name.lower() == name)
options = st.dictionaries(option_names, texts, max_size=5)


@given(st.binary(max_size=80))
@example(b"")
@example(b"\0\4\0")
@example(b"\0\1\xff\xfe\0octet\0")
@example(b"\0\1a\0octet\0blksize\0" + b"9" * 5000 + b"\0")
def test_any_bytes_are_a_packet_or_a_wire_error(datagram):
    try:
        packet = tftp.parse(datagram)
    except WireError:
        return
    if isinstance(packet, ReadRequest):
        negotiate(packet, 1000, mtu=LAN)


@given(st.sampled_from([1, 3, 4, 5, 6]), st.binary(max_size=60))
def test_any_body_behind_a_known_opcode_is_a_packet_or_a_wire_error(opcode, body):
    try:
        tftp.parse(opcode.to_bytes(2, "big") + body)
    except WireError:
        return


@given(texts.filter(bool), st.sampled_from(Mode), options)
def test_a_request_that_scapy_writes_is_read(name, mode, options):
    tail = TFTP_Options(options=[TFTP_Option(oname=each.encode(), value=options[each].encode()) for each in options])

    request = bytes(TFTP() / TFTP_RRQ(filename=name.encode(), mode=mode.value) / tail)

    assert tftp.parse(request) == ReadRequest(name, mode, options)


@given(st.integers(0, 65535), texts)
def test_an_ack_and_an_error_that_scapy_writes_are_read(number, text):
    error = TFTP() / TFTP_ERROR(errorcode=number, errormsg=text.encode())

    assert tftp.parse(bytes(TFTP() / TFTP_ACK(block=number))) == Ack(number)
    assert tftp.parse(bytes(error)) == Error(number, text)


def test_a_name_of_no_encoding_survives_to_the_byte():
    request = tftp.parse(b"\0\1\xff\xfe\xe9.efi\0octet\0")

    assert request.name.encode("utf-8", "surrogateescape") == b"\xff\xfe\xe9.efi"
    assert tftp.error(ErrorCode.ACCESS_VIOLATION, request.name) == b"\0\5\0\2\xff\xfe\xe9.efi\0"


def test_a_request_is_read_with_mode_and_option_names_in_any_case():
    datagram = b"\0\1snponly.efi\0OcTeT\0BLKSIZE\x001468\0tSize\x000\0"

    assert tftp.parse(datagram) == ReadRequest("snponly.efi", Mode.OCTET, {"blksize": "1468", "tsize": "0"})


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"\0\1snponly.efi\0octet", id="mode-without-its-zero"),
        pytest.param(b"\0\1snponly.efi\0octet\0blksize\x001468", id="value-without-its-zero"),
        pytest.param(b"\0\1snponly.efi\0", id="no-mode"),
        pytest.param(b"\0\1", id="nothing"),
        pytest.param(b"\0\1\0octet\0", id="empty-name"),
        pytest.param(b"\0\1snponly.efi\0mail\0", id="mail"),
        pytest.param(b"\0\1snponly.efi\0oct\xff\0", id="mode-of-no-encoding"),
        pytest.param(b"\0\2snponly.efi\0octet\0", id="write"),
        pytest.param(b"\0\3\0\1data", id="data"),
        pytest.param(b"\0\6blksize\x001468\0", id="oack"),
        pytest.param(b"\0\7what", id="opcode-7"),
        pytest.param(b"\0\0", id="opcode-0"),
        pytest.param(b"\1\1a\0octet\0", id="opcode-257"),
    ],
)
def test_what_is_no_read_request_is_refused_as_illegal(datagram):
    with pytest.raises(RefusedRequestError) as refusal:
        tftp.parse(datagram)

    assert refusal.value.tftp_code is ErrorCode.ILLEGAL_OPERATION


@pytest.mark.parametrize("datagram", [b"", b"\0", b"\0\4\0", b"\0\3\0", b"\0\5\0"])
def test_truncated_packets_are_dropped(datagram):
    with pytest.raises(WireError) as error:
        tftp.parse(datagram)

    assert not isinstance(error.value, RefusedRequestError)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        pytest.param(b"blksize\0", {}, id="name-without-a-value"),
        pytest.param(b"\0\0\0\0", {}, id="padding"),
        pytest.param(b"blksize\x001024\0blksize\x002048\0", {"blksize": "1024"}, id="said-twice"),
    ],
)
def test_odd_options_are_left_out(tail, expected):
    assert tftp.parse(b"\0\1a\0octet\0" + tail) == ReadRequest("a", Mode.OCTET, expected)


def test_an_error_without_its_zero_byte_is_an_error_all_the_same():
    assert tftp.parse(b"\0\5\0\x08probe") == Error(8, "probe")


def settle(*, mode=Mode.OCTET, size=173_792, mtu=LAN, **options):
    return negotiate(ReadRequest("a", mode, options), size, mtu=mtu)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            {"tsize": "0", "blksize": "1468", "windowsize": "4"},
            Terms(1468, 4, None, {"tsize": "173792", "blksize": "1468", "windowsize": "4"}),
            id="edk2",
        ),
        pytest.param(
            {"blksize": "1432", "tsize": "0"}, Terms(1432, 1, None, {"blksize": "1432", "tsize": "173792"}), id="ipxe"
        ),
        pytest.param(
            {"timeout": "5", "tsize": "0", "blksize": "1468"},
            Terms(1468, 1, 5, {"timeout": "5", "tsize": "173792", "blksize": "1468"}),
            id="u-boot",
        ),
        pytest.param(
            {"blksize": "512", "windowsize": "4"}, Terms(512, 4, None, {"blksize": "512", "windowsize": "4"}), id="shim"
        ),
        pytest.param({"multicast": "", "rollover": "0"}, Terms(), id="unknown-ones"),
        pytest.param({"windowsize": "65535"}, Terms(512, 64, None, {"windowsize": "64"}), id="window-held"),
        pytest.param({"blksize": "65464"}, Terms(1468, 1, None, {"blksize": "1468"}), id="block-held-to-the-mtu"),
        pytest.param({"blksize": "8"}, Terms(8, 1, None, {"blksize": "8"}), id="smallest-block"),
        pytest.param({"timeout": "255"}, Terms(512, 1, 255, {"timeout": "255"}), id="longest-timeout"),
    ],
)
def test_the_options_that_machines_request_are_negotiated(options, expected):
    assert settle(**options) == expected


@pytest.mark.parametrize("name", ["blksize", "windowsize", "timeout", "tsize"])
@pytest.mark.parametrize("value", ["", "abc", "-1", "+1024", " 1024", "1024 ", "0x400", "1e3", "١٢٨", "1" * 400])
def test_a_value_that_is_no_number_is_left_out(name, value):
    assert settle(**{name: value}) == Terms()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("blksize", "7"), ("blksize", "0"), ("blksize", "65465"),
        ("timeout", "0"), ("timeout", "256"),
        ("windowsize", "0"), ("windowsize", "65536"),
    ],
)  # fmt: skip
def test_a_number_out_of_its_range_is_left_out(name, value):
    assert settle(**{name: value}) == Terms()


def test_a_jumbo_lan_gets_its_large_blocks():
    assert settle(blksize="8192", mtu=9000) == Terms(8192, 1, None, {"blksize": "8192"})


def test_a_bad_option_does_not_spoil_a_good_one():
    assert settle(blksize="no", tsize="0") == Terms(acknowledged={"tsize": "173792"})


def test_netascii_has_no_tsize():
    assert settle(mode=Mode.NETASCII, tsize="0", blksize="1024") == Terms(1024, 1, None, {"blksize": "1024"})


def test_netascii_writes_line_ends_as_telnet_does():
    assert tftp.to_netascii(b"a\nb\rc\r\nd") == b"a\r\nb\r\0c\r\0\r\nd"


class TestOtherPeoplesReaders:
    """tftpy and scapy read what we write."""

    def test_tftpy_reads_an_oack(self):
        packet = TftpPacketFactory().parse(tftp.option_ack({"tsize": "173792", "blksize": "1468"}))

        assert isinstance(packet, TftpPacketOACK)
        assert {name: int(value) for name, value in packet.options.items()} == {"tsize": 173792, "blksize": 1468}

    def test_tftpy_reads_an_error(self):
        packet = TftpPacketFactory().parse(tftp.error(ErrorCode.FILE_NOT_FOUND, "no such boot file"))

        assert isinstance(packet, TftpPacketERR)
        assert (packet.errorcode, packet.errmsg) == (1, b"no such boot file")

    def test_scapy_reads_an_oack_and_an_error(self):
        oack = TFTP(tftp.option_ack({"tsize": "0", "windowsize": "4"}))
        error = TFTP(tftp.error(ErrorCode.ACCESS_VIOLATION, "no"))

        assert [(one.oname, one.value) for one in oack.options] == [(b"tsize", b"0"), (b"windowsize", b"4")]
        assert (error.errorcode, error.errormsg) == (2, b"no")
