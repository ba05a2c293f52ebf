"""Captures, against scapy: blocks, options, files that are cut or damaged."""

import struct
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from netboot.errors import WireError
from netboot.wire import pcapng
from netboot.wire.pcapng import BlockType, Packet

HEAD = pcapng.section("netboot 1.0", "a boot of cp1") + pcapng.interface("eno2")
NUMBERS = st.integers(0, 2**31 - 1)
PACKETS = st.builds(
    Packet,
    interface=st.just(0),
    at_us=st.integers(0, 2**52),
    data=st.binary(max_size=200),
    length=NUMBERS,
    is_sent=st.booleans(),
    comment=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    lost=NUMBERS,
)


@given(PACKETS)
def test_scapy_reads_what_is_written(packet: Packet):
    [(data, meta)] = list(RawPcapNgReader(BytesIO(HEAD + pcapng.packet(packet))))

    assert (data, meta.wirelen, meta.linktype) == (packet.data, packet.length, 1)
    assert (meta.tshigh << 32) + meta.tslow == packet.at_us
    assert (meta.tsresol, meta.ifname, meta.direction) == (1_000_000, b"eno2", 2 if packet.is_sent else 1)
    assert b"".join(meta.comments or []).decode() == packet.comment


@given(PACKETS)
def test_a_packet_that_is_read_is_the_one_that_was_written(packet: Packet):
    assert pcapng.read_packet(pcapng.packet(packet)) == packet


def test_the_blocks_of_a_file_end_where_it_was_cut():
    data = HEAD + pcapng.packet(Packet(0, 1, b"abc", 3, is_sent=False)) * 2
    kinds = [kind for kind, _ in pcapng.blocks(data)]

    assert kinds == [BlockType.SECTION, BlockType.INTERFACE, BlockType.PACKET, BlockType.PACKET]
    assert b"".join(block for _, block in pcapng.blocks(data)) == data
    for length in range(len(data)):
        whole = b"".join(block for _, block in pcapng.blocks(data[:length]))
        assert data.startswith(whole)
        assert length - len(whole) < 128


@pytest.mark.parametrize("length", [0, 8, 13, 2**31])
def test_a_block_of_an_impossible_length_ends_the_file(length: int):
    assert list(pcapng.blocks(struct.pack("<II", 6, length) + bytes(16))) == []


def test_the_name_of_an_interface_is_read():
    assert pcapng.interface_name(pcapng.interface("eno2")) == "eno2"


@pytest.mark.parametrize("damage", [b"", bytes(40), b"\xff" * 60])
def test_what_is_damaged_is_refused(damage: bytes):
    with pytest.raises(WireError, match="a damaged packet in a capture"):
        pcapng.read_packet(damage)
    with pytest.raises(WireError, match="a damaged interface in a capture"):
        pcapng.interface_name(damage)


def test_a_damaged_length_takes_no_memory():
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            pcapng.read_packet(b"\xff" * 60)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
