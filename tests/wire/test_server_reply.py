"""What the reply of another server shows; every rule has a row, and the packets of real servers are read."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.errors import WireError
from netboot.model.boot.other_server import ServerKind, ServerReply
from netboot.model.host.mac import Mac
from netboot.wire.dhcp.message import DhcpMessage, parse
from netboot.wire.dhcp.server_reply import chosen_server, server_reply

SOURCE, SERVER = IPv4Address("192.0.2.254"), IPv4Address("192.0.2.253")
CARD, CLIENT = Mac.parse("52:54:00:00:00:fe"), Mac.parse("52:54:00:aa:bb:01")
LEASE = DhcpMessage(
    op=2,
    xid=7,
    chaddr=bytes.fromhex("525400aabb01") + bytes(10),
    yiaddr=IPv4Address("192.0.2.100"),
    options={53: b"\x02", 54: SERVER.packed},
)
LEASE_READ = ServerReply(ServerKind.DHCP, SERVER, CARD, CLIENT, 7, False, False, "", "")
PXE = {60: b"PXEClient", 43: bytes.fromhex("060108 ff")}


def read(message: DhcpMessage) -> ServerReply | None:
    return server_reply(message, SOURCE, CARD)


def with_options(options: dict[int, bytes], **changes: object) -> DhcpMessage:
    return replace(LEASE, options={**LEASE.options, **options}, **changes)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (LEASE, LEASE_READ),
        (with_options({53: b"\x05"}), LEASE_READ),
        (replace(LEASE, options={53: b"\x02"}), replace(LEASE_READ, server=SOURCE)),
        (with_options({}, siaddr=SERVER), replace(LEASE_READ, next_server=str(SERVER))),
        (with_options({66: b"tftp.example\0"}), replace(LEASE_READ, next_server="tftp.example")),
        (with_options({}, file=b"pxelinux.0\0old"), replace(LEASE_READ, boot_file="pxelinux.0")),
        (with_options({67: b"grub.efi\0"}, file=b"pxelinux.0"), replace(LEASE_READ, boot_file="grub.efi")),
        (with_options({67: b"\0"}, file=b""), LEASE_READ),
        (with_options({67: b"\x1b[2Jx"}), replace(LEASE_READ, boot_file="\\x1b[2Jx")),
        (
            with_options({67: b"http://root:geheim@192.0.2.9/x"}),
            replace(LEASE_READ, boot_file="http://hidden@192.0.2.9/x"),
        ),
        (with_options({60: b"PXEClient"}), replace(LEASE_READ, has_pxe_option=True)),
        (with_options({60: b"HTTPClient:Arch:00016"}), replace(LEASE_READ, has_pxe_option=True)),
        (with_options({60: b"MSFT 5.0", 43: b"\x09\x01\x00"}), LEASE_READ),
        (
            with_options(PXE, yiaddr=IPv4Address(0)),
            replace(LEASE_READ, kind=ServerKind.PROXY, has_pxe_option=True),
        ),
        (
            with_options({**PXE, 43: b"\x09\x03\x80\x00\x00"}, yiaddr=IPv4Address(0)),
            replace(LEASE_READ, kind=ServerKind.PROXY, has_pxe_option=True, has_menu=True),
        ),
        (
            with_options({**PXE, 43: b"\x08\x03\x80\x00\x00"}),
            replace(LEASE_READ, has_pxe_option=True, has_menu=True),
        ),
    ],
)
def test_a_reply_shows_its_server_and_what_it_offers(message: DhcpMessage, expected: ServerReply) -> None:
    assert read(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        replace(LEASE, op=1),
        replace(LEASE, options={}),
        with_options({53: b"\x06"}),
        with_options({53: b"\x03"}),
        with_options({}, yiaddr=IPv4Address(0)),
        with_options({67: b"pxelinux.0"}, yiaddr=IPv4Address(0)),
        with_options({54: b"\xff\xff\xff\xff"}),
        with_options({54: bytes(4)}),
        with_options({}, chaddr=bytes(16)),
    ],
)
def test_a_message_that_offers_nothing_to_a_machine_is_no_reply_of_a_server(message: DhcpMessage) -> None:
    assert read(message) is None


CHOICE = replace(LEASE, op=1, yiaddr=IPv4Address(0), options={53: b"\x03", 54: SERVER.packed, 60: b"PXEClient:Arch"})


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (CHOICE, SERVER),
        (replace(CHOICE, op=2), None),
        (replace(CHOICE, options={**CHOICE.options, 53: b"\x01"}), None),
        (replace(CHOICE, options={**CHOICE.options, 60: b"MSFT 5.0"}), None),
        (replace(CHOICE, options={**CHOICE.options, 54: b"\xff" * 4}), None),
        (replace(CHOICE, options={53: b"\x03", 60: b"HTTPClient"}), None),
    ],
)
def test_the_request_of_a_boot_client_names_the_server_of_its_lease(
    message: DhcpMessage, expected: IPv4Address | None
) -> None:
    assert chosen_server(message) == expected


@given(st.binary(max_size=600))
def test_no_bytes_of_a_hostile_server_raise_another_fault(data: bytes) -> None:
    with suppress(WireError):
        read(parse(b"\x02" + data))


@given(st.dictionaries(st.integers(1, 254), st.binary(min_size=1, max_size=255)), st.binary(max_size=128))
def test_texts_are_one_printable_line(options: dict[int, bytes], file: bytes) -> None:
    found = read(with_options({**options, 53: b"\x02", 54: SERVER.packed}, file=file))
    assert found is not None
    for text in (found.boot_file, found.next_server):
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= 255
