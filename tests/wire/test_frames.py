"""UDP below the kernel, against scapy: checksums, hostile headers, fragments in any order and number."""

import random
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, fragment
from scapy.packet import Raw

from netboot.wire.frames import (
    PIECE_LIMIT,
    PIECES_HELD,
    PIECES_HELD_S,
    IpPacket,
    Reassembly,
    UdpDatagram,
    read_ip,
    read_udp,
    write,
)

SERVER, CLIENT = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.50")
ANSWER = UdpDatagram(SERVER, 67, CLIENT, 68, b"an answer")


def by_scapy(data: bytes, **ip: object) -> bytes:
    return bytes(IP(src="192.0.2.50", dst="192.0.2.10", **ip) / UDP(sport=68, dport=67) / Raw(data))


def pieces(data: bytes, *, size: int = 576, identification: int = 7) -> list[IpPacket]:
    whole = IP(src="192.0.2.50", dst="192.0.2.10", id=identification) / UDP(sport=68, dport=67) / Raw(data)
    read = [read_ip(bytes(piece)) for piece in fragment(whole, size)]
    assert all(read)
    return [piece for piece in read if piece is not None]


@given(st.binary(max_size=1500))
def test_scapy_would_have_written_the_same(data: bytes):
    written = IP(write(UdpDatagram(SERVER, 67, CLIENT, 68, data)))
    sums = (written.chksum, written[UDP].chksum)
    del written.chksum, written[UDP].chksum
    again = IP(bytes(written))

    assert sums == (again.chksum, again[UDP].chksum)
    assert (written.src, written[UDP].sport, written.dst, written[UDP].dport) == ("192.0.2.10", 67, "192.0.2.50", 68)


@given(st.binary(max_size=1500))
def test_what_scapy_writes_is_read(data: bytes):
    packet = read_ip(by_scapy(data))

    assert packet is not None
    assert packet.is_whole
    assert read_udp(packet) == UdpDatagram(CLIENT, 68, SERVER, 67, data)


def test_a_sum_of_zero_is_written_as_ones_and_read_as_none_made():
    data = next(
        data
        for number in range(65536)
        if IP(write(UdpDatagram(SERVER, 67, CLIENT, 68, data := number.to_bytes(2, "big"))))[UDP].chksum == 0xFFFF
    )
    right = write(UdpDatagram(SERVER, 67, CLIENT, 68, data))
    without = right[:26] + b"\0\0" + right[28:]

    for packet in (right, without):
        read = read_ip(packet)
        assert read is not None
        assert read_udp(read) == UdpDatagram(SERVER, 67, CLIENT, 68, data)


def test_a_wrong_checksum_is_refused_unless_the_kernel_vouches_for_it():
    broken = bytearray(by_scapy(b"x" * 40))
    broken[-1] ^= 1
    packet = read_ip(bytes(broken))

    assert packet is not None
    assert read_udp(packet) is None
    assert read_udp(packet, is_verified=True) is not None


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
        by_scapy(b"x", flags="MF"),
    ],
    ids=["empty", "cut-header", "cut", "version-6", "header-of-16", "wrong-sum", "tcp", "odd-fragment"],
)
def test_what_is_no_packet_is_none(packet: bytes):
    assert read_ip(packet) is None


def test_options_in_the_header_and_padding_behind_the_packet_change_nothing():
    packet = IP(src="192.0.2.50", dst="192.0.2.10", options=[b"\x01" * 4]) / UDP(sport=68, dport=67) / Raw(b"x")
    read = read_ip(bytes(packet) + b"\0" * 20)

    assert read is not None
    assert read_udp(read) == UdpDatagram(CLIENT, 68, SERVER, 67, b"x")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_packet_or_none(data: bytes):
    packet = read_ip(data)

    assert packet is None or isinstance(read_udp(packet), UdpDatagram | None)


@given(st.binary(min_size=600, max_size=4000), st.randoms())
def test_fragments_are_joined_in_any_order(data: bytes, chance: random.Random):
    parts, reassembly = pieces(data), Reassembly()
    chance.shuffle(parts)

    joined = [reassembly.take(part, 1.0) for part in parts]

    assert joined[:-1] == [None] * (len(parts) - 1)
    assert joined[-1] is not None
    assert read_udp(joined[-1]) == UdpDatagram(CLIENT, 68, SERVER, 67, data)


def test_a_datagram_that_lacks_a_fragment_is_forgotten_after_a_while():
    first, *others = pieces(bytes(1400))
    reassembly = Reassembly()

    for part in others:
        assert reassembly.take(part, 0.0) is None
    assert reassembly.take(first, PIECES_HELD_S) is None


def test_a_fragment_that_comes_twice_spoils_its_datagram():
    first, *others = pieces(bytes(1400))
    reassembly = Reassembly()

    assert [reassembly.take(part, 0.0) for part in (first, first, *others)] == [None] * (2 + len(others))


def test_fragments_that_overlap_never_become_a_datagram():
    first, second, third = pieces(bytes(1400))
    overlapping = IpPacket(second.source, second.destination, 7, second.offset - 8, True, second.payload)
    reassembly = Reassembly()

    assert [reassembly.take(part, 0.0) for part in (first, overlapping, third)] == [None] * 3


def test_a_flood_of_fragments_holds_a_bounded_number():
    reassembly = Reassembly()
    first, *others = pieces(bytes(1400), identification=1)
    reassembly.take(first, 0.0)
    for number in range(2, 2 + PIECES_HELD):
        reassembly.take(pieces(bytes(1400), identification=number)[0], 0.0)

    assert [reassembly.take(part, 0.0) for part in others] == [None] * len(others)


def test_a_datagram_in_too_many_fragments_is_dropped():
    parts, reassembly = pieces(bytes(8 * (PIECE_LIMIT + 1)), size=8), Reassembly()

    assert [reassembly.take(part, 0.0) for part in parts] == [None] * len(parts)


@pytest.mark.parametrize("payload", [bytes(7), bytes.fromhex("0044004300070000"), bytes.fromhex("0044004300090000")])
def test_a_datagram_with_a_wrong_length_is_not_read(payload: bytes):
    source, destination = IPv4Address("192.0.2.50"), IPv4Address("192.0.2.10")
    packet = IpPacket(source, destination, 1, 0, False, payload)

    assert read_udp(packet) is None
