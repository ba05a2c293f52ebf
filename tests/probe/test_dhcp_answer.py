"""Replies as a firmware reads them: fields, and each fault of their encoding."""

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest
from fixtures.answers import reply
from fixtures.packets import encoded

from netboot.probe.dhcp.dhcp_answer import (
    answer_in,
    answer_of_datagram,
    boot_file_until_zero,
    is_url,
    read_as_edk2_does,
)
from netboot.probe.lan.udp_frames import Way, udp_frame

SERVER = IPv4Address("192.0.2.10")


def test_a_recorded_offer_is_read_out_of_its_frame(capture: Callable[[str], bytes]) -> None:
    way = Way(bytes.fromhex("525400000001"), source=SERVER, source_port=67, destination_port=68)
    answer = answer_in(udp_frame(capture("offer-bios"), way) + b"\0\0")  # Ethernet may pad

    assert answer is not None
    assert answer.data == capture("offer-bios")
    assert (answer.source, answer.source_port, answer.source_mac.hex()) == (SERVER, 67, "525400000001")
    assert (answer.kind, answer.server, answer.boot_server, answer.is_lease) == (2, SERVER, SERVER, False)
    assert (answer.file, answer.boot_file_option, boot_file_until_zero(answer)) == ("undionly.kpxe",) * 3
    assert (answer.vendor_class, answer.encoding_faults) == (b"PXEClient", ())
    assert str(answer) == (
        "192.0.2.10: no address, class 'PXEClient', option 43 060108ff, boot file 'undionly.kpxe' of 192.0.2.10"
    )


def test_a_lease_has_its_addresses() -> None:
    options = [(53, b"\2"), (54, SERVER.packed), (1, b"\xff\xff\xff\0"), (3, SERVER.packed * 2), (51, b"\0\0\x0e\x10")]
    answer = reply(options, yiaddr="192.0.2.50")

    assert answer.is_lease
    assert (answer.addresses(3), answer.addresses(6), answer.number(51), answer.number(26)) == (
        (SERVER, SERVER),
        (),
        3600,
        None,
    )


@pytest.mark.parametrize(
    ("tail", "fault"),
    [
        (b"\x35\x01\x02", "END (255) is missing"),
        (b"\x35\x01\x02\x3d\x00\xff", "option 61 has length 0"),
        (b"\x35\x01\x02\x43\x20name", "option 67 ends behind the datagram"),
        (b"\x35\x01\x02\x43", "option 67 ends behind the datagram"),
    ],
)
def test_a_fault_of_the_encoding_is_named(tail: bytes, fault: str) -> None:
    answer = reply(tail)

    assert answer.encoding_faults == (fault,)
    assert answer.kind == 2


def test_halves_of_an_option_are_joined_and_options_in_the_field_file_are_read() -> None:
    halves = reply([(53, b"\2"), (60, b"PXE"), (60, b"Client")])
    overloaded = reply([(53, b"\2"), (52, b"\1")], file=encoded([(67, b"in-file")]) + b"\xff")

    assert halves.vendor_class == b"PXEClient"
    assert (overloaded.file, overloaded.boot_file_option) == ("", "in-file")


def test_the_nul_that_edk2_writes_hits_the_option_behind_67() -> None:
    after = [(53, b"\2"), (60, b"PXEClient"), (67, b"a.efi"), (43, b"\6\1\x08\xff")]
    last = [*after[:2], after[3], after[2]]

    assert 43 not in read_as_edk2_does(reply(after)).options
    assert read_as_edk2_does(reply(last)).options == reply(last).options
    assert read_as_edk2_does(reply([*after[:2], (67, b"a.efi\0"), after[3]])).options[43] == b"\6\1\x08\xff"
    assert read_as_edk2_does(reply(encoded(after[:3]) + b"\0" + encoded(after[3:]) + b"\xff")).options[43] != b""


def test_an_old_rom_reads_beyond_option_67() -> None:
    behind = encoded([(53, b"\2"), (67, b"a.efi")])

    assert boot_file_until_zero(reply(behind + b"\xff")) == "a.efi\xff"
    assert boot_file_until_zero(reply(behind + b"\0\xff")) == "a.efi"
    assert boot_file_until_zero(reply([(53, b"\2")])) == ""


@pytest.mark.parametrize("data", [b"", b"\2" * 239, bytes(300)])
def test_what_is_no_dhcp_message_is_none(data: bytes) -> None:
    assert answer_of_datagram(data, ("192.0.2.10", 4011)) is None
    assert answer_in(b"\0" * 30) is None


def test_only_a_url_is_one() -> None:
    assert [is_url(name) for name in ("http://192.0.2.10/a", "a.efi", "/a//b")] == [True, False, False]
