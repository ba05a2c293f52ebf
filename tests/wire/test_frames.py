"""UDP and TCP below the kernel, against scapy: checksums, hostile headers."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from netboot.wire.frames import TcpSegment, UdpDatagram, ethernet, read, write, write_segment

SERVER, CLIENT = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.50")
ANSWER = UdpDatagram(SERVER, 67, CLIENT, 68, b"an answer")


def by_scapy(data: bytes, **ip: object) -> bytes:
    return bytes(IP(src="192.0.2.50", dst="192.0.2.10", **ip) / UDP(sport=68, dport=67) / Raw(data))


@given(st.binary(max_size=1500))
def test_scapy_would_have_written_the_same(data: bytes):
    written = IP(write(UdpDatagram(SERVER, 67, CLIENT, 68, data)))
    sums = (written.chksum, written[UDP].chksum)
    del written.chksum, written[UDP].chksum
    again = IP(bytes(written))

    assert sums == (again.chksum, again[UDP].chksum)
    assert (written.src, written[UDP].sport, written.dst, written[UDP].dport) == ("192.0.2.10", 67, "192.0.2.50", 68)


@given(st.binary(max_size=1500), st.integers(0, 2**33))
def test_scapy_would_have_written_the_same_segment(data: bytes, sequence: int):
    written = Ether(
        ethernet(
            write_segment(TcpSegment(CLIENT, 49152, SERVER, 8080, sequence, 7, data)),
            source=b"\x52\x54\0\0\0\1",
            destination=b"\2nb\0\0\1",
        )
    )
    sums = (written[IP].chksum, written[TCP].chksum)
    del written[IP].chksum, written[TCP].chksum
    again = Ether(bytes(written))

    assert sums == (again[IP].chksum, again[TCP].chksum)
    assert (written.src, written.dst) == ("52:54:00:00:00:01", "02:6e:62:00:00:01")
    assert (written[IP].src, written[TCP].sport, written[IP].dst, written[TCP].dport) == (
        *("192.0.2.50", 49152),
        *("192.0.2.10", 8080),
    )
    assert (written[TCP].seq, written[TCP].ack, str(written[TCP].flags)) == (sequence & 0xFFFFFFFF, 7, "PA")
    assert bytes(written[TCP].payload) == data


@given(st.binary(max_size=1500))
def test_what_scapy_writes_is_read(data: bytes):
    assert read(by_scapy(data)) == UdpDatagram(CLIENT, 68, SERVER, 67, data)


def test_a_sum_of_zero_is_written_as_ones_and_read_as_none_made():
    data = next(
        data
        for number in range(65536)
        if IP(write(UdpDatagram(SERVER, 67, CLIENT, 68, data := number.to_bytes(2, "big"))))[UDP].chksum == 0xFFFF
    )
    right = write(UdpDatagram(SERVER, 67, CLIENT, 68, data))
    without = right[:26] + b"\0\0" + right[28:]

    for packet in (right, without):
        assert read(packet) == UdpDatagram(SERVER, 67, CLIENT, 68, data)


def test_a_wrong_checksum_is_refused_unless_the_kernel_vouches_for_it():
    broken = bytearray(by_scapy(b"x" * 40))
    broken[-1] ^= 1

    assert read(bytes(broken)) is None
    assert read(bytes(broken), is_verified=True) is not None


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        by_scapy(b"x")[:19],
        by_scapy(b"x" * 40)[:-1],
        b"\x65" + by_scapy(b"x")[1:],
        b"\x44" + by_scapy(b"x")[1:],
        by_scapy(b"x")[:8] + b"\x01" + by_scapy(b"x")[9:],
        by_scapy(b"x", proto=6),
        *(bytes(piece) for piece in fragment(IP(by_scapy(bytes(1400))), 576)),
    ],
    ids=["empty", "cut-header", "cut", "version-6", "header-of-16", "wrong-sum", "tcp", "first", "middle", "last"],
)
def test_what_is_no_packet_is_none(packet: bytes):
    assert read(packet) is None


def test_options_in_the_header_and_padding_behind_the_packet_change_nothing():
    packet = IP(src="192.0.2.50", dst="192.0.2.10", options=[b"\x01" * 4]) / UDP(sport=68, dport=67) / Raw(b"x")

    assert read(bytes(packet) + b"\0" * 20) == UdpDatagram(CLIENT, 68, SERVER, 67, b"x")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_packet_or_none(data: bytes):
    assert isinstance(read(data), UdpDatagram | None)


@pytest.mark.parametrize("payload", [bytes(7), bytes.fromhex("0044004300070000"), bytes.fromhex("0044004300090000")])
def test_a_datagram_with_a_wrong_length_is_not_read(payload: bytes):
    packet = IP(src="192.0.2.50", dst="192.0.2.10", proto=17) / Raw(payload)

    assert read(bytes(packet)) is None
