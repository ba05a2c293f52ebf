"""Frames of anybody: hostile ones raise nothing, and a flood is bounded."""

import random
from ipaddress import IPv4Address

import pytest
from fixtures.packets import message, opts
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import LLC, STP, Dot3, Ether
from scapy.packet import Raw

from netboot.doctor.lan.heard_lan import KEPT, HeardLan
from netboot.doctor.lan.packets.lan_socket import LanFrame
from netboot.doctor.lan.packets.server_offer import Request

OWN = frozenset({IPv4Address("192.0.2.10")})
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def frame(data: bytes, *, vlan: int | None = None) -> LanFrame:
    return LanFrame(data, vlan, 1.0)


def reply(*options: tuple[int, bytes], source: str = "192.0.2.254", xid: int = 7, giaddr: str = "0.0.0.0") -> LanFrame:
    data = message([(53, b"\2"), *options], op=2, xid=xid, giaddr=giaddr)
    data = data[:16] + bytes((192, 0, 2, 100)) + data[20:]
    packet = IP(src=source, dst="255.255.255.255") / UDP(sport=67, dport=68) / Raw(data)
    return frame(bytes(Ether(src="02:00:00:00:00:fe", dst=EVERYBODY) / packet))


def bpdu(number: int) -> LanFrame:
    bridge = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    tree = Dot3(dst="01:80:c2:00:00:00", src=bridge) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP(bridgemac=bridge)
    return frame(bytes(tree))


def test_the_offers_of_this_appliance_are_not_those_of_another() -> None:
    heard = HeardLan(OWN)
    heard.add(reply(source="192.0.2.10"))
    heard.add(reply((54, bytes((192, 0, 2, 10)))))  # through a relay
    assert heard.offers == {}

    heard.add(reply())
    assert [offer.server for offer in heard.offers.values()] == [IPv4Address("192.0.2.254")]


def test_a_reply_to_an_own_request_counts_instead_of_those_to_other_machines() -> None:
    heard = HeardLan(OWN, requests={9: Request.BIOS})
    heard.add(reply(xid=7))
    heard.add(reply(xid=9))

    (offers,) = heard.offers_by_server().values()
    assert [offer.request for offer in offers] == [Request.BIOS]
    assert heard.has_reply(9)


def test_texts_of_a_server_are_printable_and_bounded() -> None:
    heard = HeardLan(OWN)
    heard.add(reply((67, b"a\x1b[2J\r\n" + b"b" * 200), (66, b"http://user:secret@192.0.2.9")))

    (offer,) = heard.offers.values()
    assert offer.boot_file.startswith(r"a\x1b[2J\r\nbbb")
    assert "secret" not in offer.evidence
    assert offer.evidence.isprintable()


def test_a_flood_of_forged_frames_adds_no_more() -> None:
    heard = HeardLan(OWN)
    for number in range(3 * KEPT):
        heard.add(bpdu(number))
        heard.add(reply(source=f"198.51.100.{number}", giaddr=f"203.0.113.{number}"))
        heard.add(frame(reply().data, vlan=number + 1))

    assert (len(heard.bpdus), len(heard.offers), len(heard.relays), len(heard.tags)) == (KEPT,) * 4


@pytest.mark.parametrize("seed", range(4))
def test_no_frame_raises_anything(seed: int) -> None:
    """Cut, changed and random frames of every protocol that the filter keeps."""
    chance = random.Random(seed)
    heard = HeardLan(OWN)
    heads = [bytes.fromhex(each) for each in ("0806", "88cc", "8809", "86dd", "0800", "0026")]
    good = [bpdu(1).data, reply((67, b"x"), (43, b"\6\1\10\xff"), (175, b"\xb0\1\1")).data]
    for _ in range(300):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        heard.add(frame(bytes(data[: chance.randrange(14, len(data) + 1)])))
        heard.add(frame(bytes(12) + chance.choice(heads) + chance.randbytes(chance.randrange(120))))
    heard.add(frame(b""))
    assert not heard.has_reply(123456)


def test_a_message_that_is_no_offer_is_no_server() -> None:
    heard = HeardLan(OWN)
    packet = IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(message(opts()))
    heard.add(frame(bytes(Ether(src="52:54:00:aa:bb:01", dst=EVERYBODY) / packet)))

    assert (heard.offers, heard.relays, heard.unread) == ({}, {}, 0)
    assert heard.first_frame_at_s == 1.0
