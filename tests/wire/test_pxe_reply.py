"""The reply variants: captured replies byte for byte, scapy's reading of every kind, sizes and their limits."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import Offer, OfferKind
from netboot.model.host.firmware import ReplyVariant
from netboot.model.host.mac import Mac
from netboot.wire.dhcp.message import DhcpMessage, Option, parse
from netboot.wire.dhcp.pxe import DropReason, boot_client
from netboot.wire.dhcp.pxe_reply import VARIANTS, Reader, Reply, ServerAddress, ack_reply, offer_reply, reader_of

Capture = Callable[[str], bytes]

MAC = Mac("52:54:00:aa:bb:01")
SERVER = ServerAddress(IPv4Address("192.0.2.10"), 8080)
UUID = bytes.fromhex("0033221100554477668899aabbccddeeff")
TAKE_THE_FILE = bytes.fromhex("060108ff")
SCRIPT_URL = "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01.ipxe"
NO_DISK_URL = "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01/local-disk.efi"


def an_offer(kind: OfferKind, boot_file: str = "") -> Offer:
    return Offer(kind, MAC, boot_file)


LOADER = an_offer(OfferKind.LOADER, "snponly.efi")
SCRIPT = an_offer(OfferKind.SCRIPT)
LOCAL_DISK = an_offer(OfferKind.LOCAL_DISK)
LOCAL_DISK_MENU = b"\x06\x01\x03\x09\x0d\x00\x00\x0aLocal disk\x0a\x0b\x00Local disk\xff"


def the_client(message: DhcpMessage) -> BootClient:
    client = boot_client(message)
    assert isinstance(client, BootClient)
    return client


def the_offer(request: DhcpMessage, offer: Offer, server: ServerAddress = SERVER) -> Reply:
    reply = offer_reply(request, the_client(request), offer, server)
    assert isinstance(reply, Reply)
    return reply


def the_ack(request: DhcpMessage, offer: Offer) -> Reply:
    reply = ack_reply(request, the_client(request), offer, SERVER)
    assert isinstance(reply, Reply)
    return reply


def with_options(message: DhcpMessage, options: dict[int, bytes]) -> DhcpMessage:
    return replace(message, options={**message.options, **options})


@pytest.mark.parametrize(
    ("datagram", "loader", "answer"),
    [
        ("discover-bios", "undionly.kpxe", "offer-bios"),
        ("discover-edk2-arm64-http", "ipxe-arm64.efi", "offer-edk2-arm64-http"),
        ("discover-relayed", "undionly.kpxe", "offer-relayed"),
    ],
)
def test_captured_offers_are_built_byte_for_byte(capture: Capture, datagram: str, loader: str, answer: str) -> None:
    reply = the_offer(parse(capture(datagram)), an_offer(OfferKind.LOADER, loader))

    assert reply.data == capture(answer)
    assert reply.left_out == ()


@pytest.mark.parametrize(
    ("datagram", "offer", "file", "options"),
    [
        pytest.param(
            "discover-bios", LOADER, "snponly.efi", {60: b"PXEClient", 97: UUID, 43: TAKE_THE_FILE}, id="bios-loader"
        ),
        pytest.param(
            "discover-bios",
            LOCAL_DISK,
            "",
            {
                60: b"PXEClient",
                97: UUID,
                43: LOCAL_DISK_MENU,
            },
            id="bios-local-disk",
        ),
        pytest.param(
            "discover-edk2-x64",
            LOADER,
            "snponly.efi",
            {60: b"PXEClient", 97: UUID, 43: TAKE_THE_FILE},
            id="uefi-loader",
        ),
        pytest.param(
            "discover-edk2-x64", LOCAL_DISK, "", {60: b"PXEClient", 97: UUID, 43: TAKE_THE_FILE}, id="uefi-local-disk"
        ),
        pytest.param(
            "discover-edk2-arm64-http",
            LOADER,
            "http://192.0.2.10:8080/bootfiles/snponly.efi",
            {60: b"HTTPClient", 97: UUID},
            id="uefi-http-loader",
        ),
        pytest.param(
            "discover-edk2-arm64-http",
            LOCAL_DISK,
            NO_DISK_URL,
            {60: b"HTTPClient", 97: UUID},
            id="uefi-http-local-disk",
        ),
        pytest.param(
            "discover-ipxe-x64",
            SCRIPT,
            SCRIPT_URL,
            {
                60: b"PXEClient",
                97: UUID,
                43: TAKE_THE_FILE,
                61: bytes.fromhex("01525400aabb01"),
                175: b"\x01\x01\x01",
            },
            id="ipxe-script",
        ),
        pytest.param(
            "discover-ipxe-x64",
            LOCAL_DISK,
            "",
            {60: b"PXEClient", 97: UUID, 43: LOCAL_DISK_MENU, 61: bytes.fromhex("01525400aabb01")},
            id="ipxe-local-disk",
        ),
    ],
)
def test_each_reader_gets_each_offer_in_its_variant(
    capture: Capture, datagram: str, offer: Offer, file: str, options: dict[int, bytes]
) -> None:
    request = parse(capture(datagram))

    reply = the_offer(request, offer)

    expected = {53: b"\x02", 54: SERVER.address.packed, **options} | ({67: file.encode()} if file else {})
    assert parse(reply.data) == DhcpMessage(
        op=2,
        xid=request.xid,
        flags=request.flags,
        siaddr=SERVER.address,
        chaddr=request.chaddr,
        file=file.encode(),
        options=expected,
    )
    assert list(parse(reply.data).options) == list(expected)
    assert reply.boot_file == file


def _scapy_options(data: bytes) -> dict[str, Any]:
    found = {}
    for option in BOOTP(data)[DHCP].options:
        if isinstance(option, tuple):
            found[option[0]] = option[1:] if len(option) > 2 else option[1]
    return found


@pytest.mark.parametrize(
    ("datagram", "offer"),
    [
        pytest.param("discover-bios", LOADER, id="bios"),
        pytest.param("discover-bios", LOCAL_DISK, id="bios-disk"),
        pytest.param("discover-edk2-x64", LOADER, id="uefi"),
        pytest.param("discover-edk2-x64", LOCAL_DISK, id="uefi-disk"),
        pytest.param("discover-edk2-arm64-http", LOADER, id="http"),
        pytest.param("discover-edk2-arm64-http", LOCAL_DISK, id="http-disk"),
        pytest.param("discover-ipxe-x64", SCRIPT, id="ipxe"),
        pytest.param("discover-relayed", LOADER, id="relayed"),
    ],
)
@pytest.mark.parametrize(("answer", "kind"), [(the_offer, 2), (the_ack, 5)])
def test_scapy_reads_every_kind_of_reply(
    capture: Capture, datagram: str, offer: Offer, answer: Callable[..., Reply], kind: int
) -> None:
    request = parse(capture(datagram))

    reply = answer(request, offer)
    theirs = BOOTP(reply.data)
    options = _scapy_options(reply.data)

    assert (theirs.op, theirs.xid, theirs.siaddr, theirs.yiaddr, theirs.ciaddr) == (
        2,
        request.xid,
        "192.0.2.10",
        "0.0.0.0",
        "0.0.0.0",
    )
    assert theirs.file.rstrip(b"\0").decode() == reply.boot_file
    assert (options["message-type"], options["server_id"]) == (kind, "192.0.2.10")
    assert options.get("boot-file-name", b"").decode() == reply.boot_file
    assert not {"subnet_mask", "router", "name_server", "lease_time", "renewal_time"} & options.keys()


def test_every_variant_has_a_row_here_and_no_firmware_lacks_one() -> None:
    assert {reader for reader, _ in VARIANTS} == set(Reader)
    assert {(reader, kind) for reader in Reader for kind in OfferKind} - VARIANTS.keys() == {
        (Reader.BIOS, OfferKind.SCRIPT),
        (Reader.UEFI, OfferKind.SCRIPT),
        (Reader.UEFI_HTTP, OfferKind.SCRIPT),
    }


def test_a_decision_that_no_reply_expresses_is_dropped(capture: Capture) -> None:
    request = parse(capture("discover-edk2-x64"))

    assert offer_reply(request, the_client(request), SCRIPT, SERVER) is DropReason.NO_REPLY_VARIANT


def test_an_ipxe_in_a_rom_that_is_replaced_prefers_the_loader_to_the_lease_servers_file(capture: Capture) -> None:
    reply = the_offer(parse(capture("discover-ipxe-x64")), LOADER)

    options = parse(reply.data).options
    assert (reply.boot_file, options[Option.IPXE]) == ("snponly.efi", bytes.fromhex("010101"))


@pytest.mark.parametrize(
    ("datagram", "giaddr", "request_flags", "flags"),
    [
        pytest.param("discover-ipxe-x64", "198.51.100.1", 0, 0x8000, id="an-ipxe-behind-a-relay"),
        pytest.param("discover-ipxe-x64", "0.0.0.0", 0, 0, id="an-ipxe-on-the-lan"),
        pytest.param("discover-ipxe-x64", "0.0.0.0", 0x8000, 0x8000, id="an-ipxe-that-wants-a-broadcast"),
        pytest.param("discover-edk2-x64", "198.51.100.1", 0x8000, 0x8000, id="firmware-that-sets-it"),
        pytest.param("discover-relayed", "198.51.100.1", 0, 0, id="firmware-that-does-not"),
    ],
)
def test_the_broadcast_flag_comes_back_and_is_set_for_an_ipxe_behind_a_relay(
    capture: Capture, datagram: str, giaddr: str, request_flags: int, flags: int
) -> None:
    request = replace(parse(capture(datagram)), giaddr=IPv4Address(giaddr), flags=request_flags)
    offer = SCRIPT if "ipxe" in datagram else LOADER

    assert parse(the_offer(request, offer).data).flags == flags


@pytest.mark.parametrize(
    ("arch", "protocol", "stage", "expected"),
    [
        (Arch.X86_BIOS, BootProtocol.PXE, Stage.FIRMWARE, Reader.BIOS),
        (Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE, Reader.UEFI),
        (Arch.X64_UEFI, BootProtocol.HTTP, Stage.FIRMWARE, Reader.UEFI_HTTP),
        (Arch.X86_BIOS, BootProtocol.PXE, Stage.IPXE, Reader.IPXE),
        (Arch.X64_UEFI, BootProtocol.HTTP, Stage.IPXE, Reader.IPXE),
    ],
)
def test_the_stage_then_the_protocol_then_the_cpu_decide_the_reader(
    arch: Arch, protocol: BootProtocol, stage: Stage, expected: Reader
) -> None:
    assert reader_of(BootClient(MAC, arch, protocol, stage)) is expected


def test_what_came_is_echoed_and_nothing_else(capture: Capture) -> None:
    request = replace(
        parse(capture("discover-relayed")),
        hops=4,
        secs=0x1C00,
        flags=0x8001,
        htype=6,
        chaddr=bytes(range(2, 18)),
        ciaddr=IPv4Address("192.0.2.77"),
        file=b"junk of a ROM",
        sname=b"more of it",
    )

    reported = parse(the_offer(request, LOADER).data)

    assert (reported.htype, reported.hlen, reported.xid, reported.giaddr, reported.chaddr, reported.flags) == (
        request.htype,
        request.hlen,
        request.xid,
        request.giaddr,
        request.chaddr,
        request.flags,
    )
    assert (reported.hops, reported.secs, reported.ciaddr, reported.yiaddr, reported.sname) == (
        0,
        0,
        IPv4Address(0),
        IPv4Address(0),
        b"",
    )


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        pytest.param(97, UUID, UUID, id="97 verbatim"),
        pytest.param(97, b"\x01" + bytes(16), b"\x01" + bytes(16), id="97 of another type too"),
        pytest.param(97, UUID[1:], None, id="97 of 16 bytes never"),
        pytest.param(61, b"\x01\x02", b"\x01\x02", id="61 of two bytes"),
        pytest.param(61, b"\x01", None, id="61 of one byte never"),
        pytest.param(61, bytes(256), None, id="61 of 256 bytes never"),
        pytest.param(82, b"\x01", b"\x01", id="82 whatever it holds"),
        pytest.param(82, b"", None, id="82 of no bytes never"),
    ],
)
def test_97_61_and_82_come_back_as_they_came(capture: Capture, code: int, value: bytes, expected: bytes | None) -> None:
    request = with_options(parse(capture("discover-edk2-x64")), {code: value})

    assert parse(the_offer(request, LOADER).data).options.get(code) == expected


def test_a_uuid_is_never_invented(capture: Capture) -> None:
    request = parse(capture("discover-bios"))
    without = replace(request, options={code: value for code, value in request.options.items() if code != 97})

    assert 97 not in parse(the_offer(without, LOADER).data).options


def test_67_is_last_with_82_alone_behind_it(capture: Capture) -> None:
    request = with_options(parse(capture("discover-ipxe-x64")), {82: b"\x01\x04eth0"})

    assert list(parse(the_offer(request, SCRIPT).data).options) == [53, 54, 60, 97, 43, 61, 175, 67, 82]


@pytest.mark.parametrize("length", [1, 127, 128, 255])
def test_a_name_over_127_bytes_stands_in_option_67_alone(capture: Capture, length: int) -> None:
    reply = the_offer(parse(capture("discover-bios")), an_offer(OfferKind.LOADER, "n" * length))

    reported = parse(reply.data)
    assert reported.options[67] == b"n" * length
    assert reported.file == (b"n" * length if length <= 127 else b"")


def test_a_name_over_255_bytes_is_refused(capture: Capture) -> None:
    request = parse(capture("discover-bios"))

    assert offer_reply(request, the_client(request), an_offer(OfferKind.LOADER, "n" * 256), SERVER) is (
        DropReason.BOOT_FILE_TOO_LONG
    )


def test_a_name_with_spaces_is_quoted_in_a_url_alone(capture: Capture) -> None:
    spaced = an_offer(OfferKind.LOADER, "arm64/my ipxe.efi")

    assert the_offer(parse(capture("discover-bios")), spaced).boot_file == "arm64/my ipxe.efi"
    assert the_offer(parse(capture("discover-edk2-arm64-http")), spaced).boot_file == (
        "http://192.0.2.10:8080/bootfiles/arm64/my%20ipxe.efi"
    )


@pytest.mark.parametrize(
    ("largest", "mtu", "relay_bytes", "free_bytes", "left_out"),
    [
        pytest.param(None, 1500, 255, 548, (Option.BOOT_FILE,), id="548 without 57"),
        pytest.param(None, 1500, 100, 548, (), id="all fits"),
        pytest.param(300, 1500, 255, 548, (Option.BOOT_FILE,), id="57 below 576 counts as 576"),
        pytest.param(1472, 1500, 255, 1444, (), id="57 of iPXE and EDK2"),
        pytest.param(65280, 1500, 255, 1472, (), id="57 of EDK2's REQUEST, held to the MTU"),
        pytest.param(65280, 576, 255, 548, (Option.BOOT_FILE,), id="a small MTU"),
    ],
)
def test_a_reply_is_never_larger_than_its_reader_takes(
    capture: Capture, largest: int | None, mtu: int, relay_bytes: int, free_bytes: int, left_out: tuple[Option, ...]
) -> None:
    request = parse(capture("discover-bios"))
    options = {code: value for code, value in request.options.items() if code != 57} | {82: b"r" * relay_bytes}
    if largest is not None:
        options[57] = largest.to_bytes(2, "big")

    reply = the_offer(replace(request, options=options), LOADER, replace(SERVER, mtu_bytes=mtu))

    assert len(reply.data) <= free_bytes
    assert reply.left_out == left_out
    assert parse(reply.data).options[82] == b"r" * relay_bytes
    assert parse(reply.data).file == b"snponly.efi"


def test_67_then_61_then_82_are_left_out_whole(capture: Capture) -> None:
    request = with_options(parse(capture("discover-bios")), {57: b"\x02\x40", 61: b"c" * 255, 82: b"r" * 255})

    reply = the_offer(request, LOADER)

    assert reply.left_out == (Option.BOOT_FILE, Option.CLIENT_ID)
    assert parse(reply.data).options[82] == b"r" * 255


def test_option_82_gives_way_to_a_name_that_stands_in_67_alone(capture: Capture) -> None:
    request = with_options(parse(capture("discover-bios")), {57: b"\x02\x40", 82: b"r" * 255})

    reply = the_offer(request, an_offer(OfferKind.LOADER, "n" * 200))

    assert reply.left_out == (Option.RELAY_INFORMATION,)
    assert parse(reply.data).options[67] == b"n" * 200


def test_an_82_that_came_in_pieces_longer_than_an_option_is_left_out_and_said(capture: Capture) -> None:
    request = with_options(parse(capture("discover-bios")), {82: b"r" * 256})

    assert the_offer(request, LOADER).left_out == (Option.RELAY_INFORMATION,)


@given(
    options=st.dictionaries(st.sampled_from((43, 57, 61, 77, 82, 97, 175)), st.binary(max_size=300)),
    name=st.text("abc/", min_size=1, max_size=255),
    mtu=st.sampled_from((68, 576, 1280, 1500, 9000)),
)
def test_any_reply_is_whole_and_fits(options: dict[int, bytes], name: str, mtu: int) -> None:
    request = DhcpMessage(
        op=1,
        xid=1,
        chaddr=bytes.fromhex("525400aabb01") + bytes(10),
        options={60: b"PXEClient", 93: b"\0\7", **options},
    )
    client = the_client(request)
    offer = SCRIPT if client.stage is Stage.IPXE else an_offer(OfferKind.LOADER, name)

    for reply in (offer_reply(request, client, offer, replace(SERVER, mtu_bytes=mtu)), the_ack(request, offer)):
        assert isinstance(reply, Reply)
        reported = parse(reply.data)
        assert 300 <= len(reply.data) <= max(548, request.largest_reply_bytes - 28)
        assert reply.boot_file.encode() in (reported.file, reported.options.get(67))
        assert all(reported.options.values())


def test_an_ack_on_4011_says_what_the_offer_on_67_said(capture: Capture) -> None:
    request = parse(capture("request-edk2-4011"))

    ack, offer = parse(the_ack(request, LOADER).data), parse(the_offer(request, LOADER).data)

    assert ack == replace(offer, options={**offer.options, 53: b"\x05"})


def test_a_boot_item_comes_back_with_its_four_bytes(capture: Capture) -> None:
    request = with_options(parse(capture("request-edk2-4011")), {43: bytes.fromhex("470400010000ff")})

    assert parse(the_ack(request, LOADER).data).options[43] == bytes.fromhex("470400010000ff")


@pytest.mark.parametrize("datagram", ["discover-bios", "discover-edk2-x64"])
def test_without_43_the_firmware_gets_its_reply_on_4011(capture: Capture, datagram: str) -> None:
    request = parse(capture(datagram))
    offer = replace(LOADER, variant=ReplyVariant.WITHOUT_43)

    on_67, on_4011 = parse(the_offer(request, offer).data), parse(the_ack(request, offer).data)

    assert Option.VENDOR_OPTIONS not in on_67.options
    assert replace(on_67, options={**on_67.options, Option.VENDOR_OPTIONS: TAKE_THE_FILE}) == parse(
        the_offer(request, LOADER).data
    )
    assert on_4011.options[Option.VENDOR_OPTIONS] == TAKE_THE_FILE


@pytest.mark.parametrize(
    ("loader", "url"),
    [
        ("shimx64.efi", "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01/shimx64.efi"),
        ("efi/grubaa64.efi", "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01/grubaa64.efi"),
        ("efi/snponly.efi", "http://192.0.2.10:8080/bootfiles/efi/snponly.efi"),
    ],
)
def test_shim_and_grub_are_loaded_from_the_machines_own_directory(capture: Capture, loader: str, url: str) -> None:
    request = parse(capture("discover-edk2-arm64-http"))

    assert the_offer(request, an_offer(OfferKind.LOADER, loader)).boot_file == url


@pytest.mark.parametrize(
    "datagram",
    [
        "discover-bios",
        "discover-edk2-x64",
        "discover-edk2-arm64-http",
        "discover-ipxe-x64",
        "discover-relayed",
        "request-edk2-4011",
    ],
)
@pytest.mark.parametrize("kind", [OfferKind.LOADER, OfferKind.SCRIPT])
def test_a_pad_follows_the_boot_file_in_every_reply_variant(capture: Capture, datagram: str, kind: OfferKind) -> None:
    request = parse(capture(datagram))
    client = boot_client(request)
    assert not isinstance(client, DropReason)
    for write in (offer_reply, ack_reply):
        for variant in ReplyVariant:
            reply = write(request, client, replace(an_offer(kind, "snponly.efi"), variant=variant), SERVER)
            if not isinstance(reply, DropReason) and reply.boot_file:
                name = reply.boot_file.encode()
                assert bytes((67, len(name))) + name + b"\0" in reply.data


def test_packets_come_from_the_own_address_and_urls_from_the_advertised_one():
    server = replace(SERVER, advertised=IPv4Address("203.0.113.5"))

    assert (server.text, server.packed, server.base_url) == ("192.0.2.10", b"\xc0\0\2\x0a", "http://203.0.113.5:8080")
    assert (SERVER.text, SERVER.base_url) == ("192.0.2.10", "http://192.0.2.10:8080")
