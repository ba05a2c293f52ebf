"""A frame that crossed the bridge is read as scapy wrote it, and kept as text that gives the same bytes back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from netboot.lab.lan.recorder import Recorded, datagram_in, short_hex

MAC = "52:54:00:aa:bb:01"
REQUEST = b"\x00\x01name\x00octet\x00"
FRAME = Ether(src=MAC) / IP(src="192.0.2.50", dst="192.0.2.10") / UDP(sport=1064, dport=69) / REQUEST


def test_a_datagram_of_a_boot_is_read():
    assert datagram_in(bytes(FRAME)) == Recorded(MAC, ("192.0.2.50", 1064), ("192.0.2.10", 69), REQUEST)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(Ether() / IP() / UDP(sport=5000, dport=53), id="another-port"),
        pytest.param(Ether() / IP() / TCP(dport=69), id="another-protocol"),
        pytest.param(Ether() / IP(flags="MF") / UDP(dport=69), id="a-fragment"),
        pytest.param(Ether(type=0x86DD) / b"\x60", id="another-network"),
        pytest.param(Ether(), id="nothing-in-it"),
    ],
)
def test_anything_else_is_not(frame: Packet):
    assert datagram_in(bytes(frame)) is None


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_passed_over(data: bytes):
    datagram_in(data)


@given(st.lists(st.one_of(st.binary(max_size=6), st.integers(0, 20).map(bytes))).map(b"".join))
def test_short_hex_gives_the_same_bytes_back(data: bytes):
    text = short_hex(data)

    assert bytes.fromhex(re.sub(r"\[00\*(\d+)\]", lambda zeros: "00" * int(zeros[1]), text)) == data
    assert "00" * 9 not in text


def test_a_capture_begins_with_its_story():
    recorded = Recorded(MAC, ("0.0.0.0", 68), ("255.255.255.255", 67), b"\x01" + bytes(8) + b"\xff")

    assert recorded.capture("DISCOVER of a test.") == (
        "# DISCOVER of a test.\n"
        "# 0.0.0.0:68 -> 255.255.255.255:67, from 52:54:00:aa:bb:01. [00*n] stands for n zero bytes.\n"
        "01[00*8]ff\n"
    )
