"""What the running daemon sends on 67 and 4011, and what it drops: RFC 2131, RFC 4578, PXE 2.1, rule by rule."""

import socket
import time

import pytest
from fixtures.packets import (
    ADDRESS,
    BIOS,
    MAC,
    RELAY,
    SERVER,
    UEFI,
    UUID,
    encoded,
    message,
    opts,
    vector,
)
from fixtures.rack import BASE, Rack
from fixtures.wire import Wire
from scapy.layers.inet import UDP

pytestmark = pytest.mark.integration

HTTP = b"HTTPClient:Arch:00016:UNDI:003001"
BROADCAST_WAY = (SERVER, 67, "255.255.255.255", 68)
TAKE_THE_FILE = bytes.fromhex("060108ff")
UNKNOWN = bytes.fromhex("525400999999")
IPXE = [(77, b"iPXE")]
CUT = vector("discover-bios")[:240] + bytes.fromhex("3501015d0200003cc8505845436c69656e74")


# §12: the vectors


def test_a_bios_rom_gets_its_answer_byte_for_byte(wire: Wire):
    reply = wire.query(vector("discover-bios"))

    assert reply.way == BROADCAST_WAY
    assert bytes(reply.frame[UDP].payload) == vector("offer-bios")


def test_a_uefi_firmware_gets_its_loader_and_the_order_to_take_it(wire: Wire):
    reply = wire.query(vector("discover-edk2-x64"))

    assert (reply.way, reply.name, reply.options[43]) == (BROADCAST_WAY, b"snponly.efi", TAKE_THE_FILE)


def test_http_boot_on_arm64_gets_a_uri_and_no_option_43(wire: Wire):
    reply = wire.query(vector("discover-edk2-arm64-http"))

    uri = f"{BASE}/bootfiles/snponly-arm64.efi".encode()
    assert (list(reply.options), reply.options[60], reply.options[67], reply.name) == (
        [53, 54, 60, 97, 67],
        b"HTTPClient",
        uri,
        uri,
    )


def test_the_reply_to_a_relayed_request_goes_to_the_relay_on_67_with_its_option_82_last(wire: Wire):
    reply = wire.query(vector("discover-relayed"), source=(RELAY, 67), to=(SERVER, 67))

    assert reply.way == (SERVER, 67, RELAY, 67)
    assert bytes(reply.frame[UDP].payload) == vector("offer-relayed")


@pytest.mark.parametrize("name", ["discover-gpxe", "discover-ipxe-without-http"])
def test_option_175_without_http_gets_the_loader(wire: Wire, name: str):
    reply = wire.query(vector(name))

    assert (reply.name, reply.options[67], reply.options[43]) == (
        b"undionly.kpxe",
        b"undionly.kpxe",
        TAKE_THE_FILE,
    )


def test_u_boot_on_arm64_finds_its_loader_in_the_file_field(wire: Wire):
    reply = wire.query(vector("discover-uboot-arm64"))

    assert (reply.name, reply.header[9]) == (b"snponly-arm64.efi", socket.inet_aton(SERVER))


def test_a_uefi_firmware_of_ia32_gets_its_loader(wire: Wire):
    assert wire.query(vector("discover-uefi-ia32")).name == b"snponly-ia32.efi"


def test_ipxe_gets_its_script_and_never_a_loader(wire: Wire):
    reply = wire.query(vector("discover-ipxe-x64"))

    url = f"{BASE}/boot/52-54-00-aa-bb-01.ipxe".encode()
    assert (reply.name, reply.options[67], reply.options[60]) == (url, url, b"PXEClient")
    assert reply.header[7:11] == (bytes(4), bytes(4), socket.inet_aton(SERVER), bytes(4))


# §1: which requests are answered, and which never


@pytest.mark.parametrize(
    "ignored",
    [
        pytest.param(b"", id="empty"),
        pytest.param(vector("discover-bios")[:239], id="239-bytes"),
        pytest.param(vector("discover-bios")[:240], id="no-options"),
        pytest.param(CUT, id="option-past-the-end"),
        pytest.param(message(encoded(opts()) + b"\x43"), id="code-without-length"),
        pytest.param(message(opts(), op=2), id="op-2"),
        pytest.param(message(opts(), op=0), id="op-0"),
        pytest.param(message(opts(), op=3), id="op-3"),
        pytest.param(message(opts(), cookie="63825364"), id="other-cookie"),
        pytest.param(message(opts(), hlen=17), id="hlen-17"),
        pytest.param(message(opts(), hlen=255), id="hlen-255"),
        pytest.param(message(opts(), hlen=0), id="hlen-0"),
        pytest.param(message(opts(more=[(61, b"\1" + MAC)]), hlen=0), id="hlen-0-with-61"),
        pytest.param(message(opts(), chaddr=bytes(6)), id="chaddr-0"),
        pytest.param(message(opts(), chaddr=b"\xff" * 6), id="chaddr-broadcast"),
        pytest.param(message(opts(), chaddr=b"\1" + MAC[1:]), id="chaddr-group"),
        pytest.param(message(opts(), htype=32, hlen=0, chaddr=b""), id="infiniband-without-61"),
        pytest.param(message(opts()[1:]), id="bootp"),
        pytest.param(message([(53, b""), *opts()[1:]]), id="53-empty"),
        pytest.param(message([(53, b"\1\1"), *opts()[1:]]), id="53-of-two-bytes"),
        pytest.param(message([(53, b"\1"), *opts()]), id="two-53s"),
        *(pytest.param(message(opts(kind=kind)), id=f"type-{kind}") for kind in (0, 2, 3, 4, 5, 6, 7, 8, 9, 255)),
        pytest.param(message(opts(kind=3, more=[(54, socket.inet_aton(SERVER))])), id="request-to-us"),
        pytest.param(message(opts(vendor=None)), id="no-class"),
        pytest.param(message([*opts(vendor=None), (60, b"")]), id="empty-class"),
        *(
            pytest.param(message(opts(vendor=vendor)), id=vendor.decode())
            for vendor in (
                *(b"PXEClien", b"pxeclient:Arch:00007", b" PXEClient", b"xPXEClient:Arch:00007", b"MSFT 5.0"),
                *(b"anaconda-Linux 4.18", b"udhcp 1.35", b"U-Boot.armv8", b"httpclient:Arch:00016", b"HTTPClien"),
            )
        ),
        pytest.param(message([(53, b"\1")]), id="grub-net_bootp"),
        pytest.param(message(b"\xff" + encoded(opts())), id="all-behind-the-end"),
        pytest.param(message(opts(vendor=b"PXEClient", arch=None)), id="no-architecture"),
        pytest.param(message(opts(vendor=b"PXEClient:Arch:7", arch=b"\7")), id="architectures-malformed"),
        *(
            pytest.param(message(opts(arch=number.to_bytes(2, "big"))), id=f"arch-{number}")
            for number in (1, 2, 3, 4, 5, 8, 12, 13, 14, 20, 21, 23, 24, 25, 26, 29, 36, 255, 65535)
        ),
        pytest.param(message(opts(vendor=BIOS, arch=b"\0\0"), chaddr=bytes.fromhex("b827eb123456")), id="raspberry"),
        *(
            pytest.param(message(opts(), giaddr=giaddr), id=f"relay-{giaddr}")
            for giaddr in ("0.0.0.1", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", SERVER)
        ),
    ],
)
def test_a_message_that_is_no_request_to_us_is_dropped(wire: Wire, ignored: bytes):
    assert wire.hears_nothing_of(ignored)


def test_every_drop_is_counted(open_rack: Rack, wire: Wire):
    before = ignored_so_far(open_rack)

    for data in (
        b"",
        CUT,
        message(opts(), op=2),
        message(opts(vendor=b"MSFT 5.0")),
        message(opts(), giaddr=SERVER),
    ):
        assert wire.hears_nothing_of(data)

    assert ignored_so_far(open_rack) == before + 5


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(message(encoded(opts())), id="no-end"),
        pytest.param(message(bytes(9) + b"\0".join(encoded([each]) for each in opts()) + b"\xff\x35\1"), id="padding"),
        pytest.param(message([*opts(vendor=None), (60, UEFI[:7]), (12, b"x"), (60, UEFI[7:])]), id="class-in-halves"),
        pytest.param(message([(52, b"\1")], file=encoded(opts()) + b"\xff"), id="options-in-file"),
        pytest.param(message([*opts(vendor=None), (52, b"\2")], sname=encoded([(60, UEFI)])), id="options-in-sname"),
        pytest.param(
            message(
                [*opts(vendor=None), (52, b"\3")],
                file=encoded([(60, UEFI[:3])]),
                sname=encoded([(60, UEFI[3:])]),
            ),
            id="file-before-sname",
        ),
        pytest.param(message([*opts(), (52, b"\3")], file=b"\x3c\xf0", sname=b"\x35"), id="garbage-in-overload"),
        pytest.param(message([*opts(), (52, b"\1")], file=b"\x34\1\2\xff", sname=b"\x3c\1x\xff"), id="52-in-overload"),
        pytest.param(message(opts(), file=b"\xff\x35junk" * 9, sname=b"\1\2\3"), id="junk-without-52"),
        pytest.param(message([*opts(), (57, b"\1"), (43, b"\6\xff"), (77, b"\xff"), (82, b"\1\xff")]), id="inner-junk"),
        pytest.param(message([(53, b"\1"), (93, b"\0\7"), (60, b"PXEClient")]), id="bare-class-and-little-else"),
        pytest.param(message(opts(vendor=b"PXEClient\0")), id="trailing-nul"),
        pytest.param(message(opts(vendor=b"PXEClient\r\n\x1b[2J\xff\xfe" + b"x" * 230)), id="hostile-class"),
        pytest.param(message(opts(arch=None)), id="arch-from-the-class"),
        pytest.param(message(opts(arch=b"\7")), id="arch-odd-so-from-the-class"),
        pytest.param(message(opts(arch=b"\0\7\0\x10\0\0")), id="arch-list"),
        pytest.param(message(opts(), hops=16, secs=65535), id="hops-and-secs"),
        pytest.param(message(opts(more=[(77, b"not-ours"), (250, b"x" * 200)])), id="foreign-user-class"),
        pytest.param(message(opts(), chaddr=UNKNOWN), id="unregistered-where-unregistered-wait"),
        pytest.param(message(opts(), htype=6), id="htype-6"),
        pytest.param(message(opts(more=[(61, b"\0" + UUID[1:])]), hlen=16, chaddr=UUID[1:]), id="guid-in-chaddr"),
        pytest.param(message(opts(), hlen=16, chaddr=UUID[1:]), id="guid-without-61"),
        pytest.param(message(opts(more=[(61, bytes(range(20)))]), htype=32, hlen=0, chaddr=b""), id="infiniband"),
        pytest.param(message(opts(more=[(43, b"x" * 200), (128, b"y" * 255)])).ljust(1400, b"\0"), id="1400-bytes"),
        pytest.param(message(opts()).ljust(3000, b"\0"), id="fragments"),
    ],
)
def test_what_is_odd_but_ours_is_answered(wire: Wire, datagram: bytes):
    reply = wire.query(datagram)

    assert (reply.way, reply.name, reply.options[67]) == (BROADCAST_WAY, b"snponly.efi", b"snponly.efi")
    assert (reply.header[:3], reply.chaddr, reply.xid) == ((2, *datagram[1:3]), datagram[28:44], 0x1234)


def test_the_same_request_gets_the_same_reply_each_time_and_soon(wire: Wire):
    began = time.monotonic()

    reply = [wire.query(message(opts(), xid=77, secs=secs)) for secs in (0, 4, 12, 28, 28, 28)]

    assert len({bytes(each.frame[UDP].payload) for each in reply}) == 1
    assert time.monotonic() - began < 1.0


# §2: the client


@pytest.mark.parametrize(
    ("arch", "vendor", "name"),
    [
        (0, BIOS, b"undionly.kpxe"),
        (6, b"PXEClient:Arch:00006", b"snponly-ia32.efi"),
        (7, UEFI, b"snponly.efi"),
        (9, b"PXEClient:Arch:00009", b"snponly.efi"),
        (11, b"PXEClient:Arch:00011", b"snponly-arm64.efi"),
        (16, b"PXEClient:Arch:00016", b"snponly.efi"),
        (22, b"PXEClient:Arch:00022", b"snponly-arm64.efi"),
        *((arch, b"HTTPClient", f"{BASE}/bootfiles/snponly.efi".encode()) for arch in (7, 9, 16, 17)),
        *((arch, b"HTTPClient", f"{BASE}/bootfiles/snponly-ia32.efi".encode()) for arch in (6, 15)),
        *((arch, b"HTTPClient", f"{BASE}/bootfiles/snponly-arm64.efi".encode()) for arch in (11, 19)),
    ],
)
def test_the_class_picks_the_protocol_and_the_architecture_the_loader(
    wire: Wire, arch: int, vendor: bytes, name: bytes
):
    reply = wire.query(message(opts(arch=arch.to_bytes(2, "big"), vendor=vendor)))

    assert (reply.name, reply.options[60]) == (name, vendor.partition(b":")[0])


@pytest.mark.parametrize(
    ("more", "is_ipxe"),
    [
        ([(77, b"iPXE")], True),
        ([(77, b"\4iPXE")], True),
        ([(77, b"\3foo\4iPXE")], True),
        ([(77, b"iPXE"), (175, b"\xb1\1\1\x13\1\1")], True),
        ([(77, b"iPXE"), (175, b"\x15\1\1")], False),
        ([(175, b"\x13\1\1")], False),
        ([(175, b"\1\1\1")], False),
        ([(175, b"\0")], False),
        ([(77, b"\5iPXE")], False),
        ([(77, b"\4ipxe")], False),
        ([(77, b"\3foo")], False),
        ([(77, b"gPXE")], False),
    ],
)
def test_ipxe_is_identified_by_77_in_both_encodings_and_by_http_in_175(
    wire: Wire, more: list[tuple[int, bytes]], is_ipxe: bool
):
    reply = wire.query(message(opts(more=more)))

    assert reply.name == (f"{BASE}/boot/52-54-00-aa-bb-01.ipxe".encode() if is_ipxe else b"snponly.efi")


# §3: the reply


def test_the_fields_of_an_offer(wire: Wire):
    datagram = message(
        opts(),
        hops=3,
        secs=9,
        flags=0x8001,
        ciaddr="192.0.2.99",
        sname=b"junk",
        file=b"junk",
        chaddr=MAC + b"\7" * 10,
    )

    reply = wire.query(datagram)

    ours = socket.inet_aton(SERVER)
    assert reply.way == BROADCAST_WAY
    assert reply.header == (2, 1, 6, 0, 0x1234, 0, 0x8001, bytes(4), bytes(4), ours, bytes(4))
    assert (reply.chaddr, reply.sname) == (MAC + b"\7" * 10, bytes(64))
    assert list(reply.options.items()) == [
        *((53, b"\2"), (54, ours), (60, b"PXEClient"), (97, UUID), (43, TAKE_THE_FILE), (67, b"snponly.efi"))
    ]


def test_flags_without_the_broadcast_bit_change_nothing(wire: Wire):
    reply = wire.query(message(opts(), flags=0))

    assert (reply.way, reply.header[6]) == (BROADCAST_WAY, 0)


def test_what_came_goes_back_in_order_with_82_last_even_without_a_relay(wire: Wire):
    reply = wire.query(message(opts(more=[(61, b"\1" + MAC), (82, b"\1\2ab\x97\0"), (12, b"name"), (50, bytes(4))])))

    assert list(reply.options) == [53, 54, 60, 97, 43, 61, 67, 82]
    assert (reply.options[61], reply.options[82]) == (b"\1" + MAC, b"\1\2ab\x97\0")


@pytest.mark.parametrize(
    ("code", "value", "comes_back"),
    [
        (61, b"\1", False),
        (61, bytes(2), True),
        (61, bytes(255), True),
        (97, bytes(16), False),
        (97, bytes(18), False),
        (97, bytes(17), True),
    ],
)
def test_an_identity_comes_back_verbatim_or_not_at_all(wire: Wire, code: int, value: bytes, comes_back: bool):
    options = [each for each in opts() if each[0] != code]

    assert wire.query(message([*options, (code, value)])).options.get(code) == (value if comes_back else None)


def test_no_guid_is_invented(wire: Wire):
    assert 97 not in wire.query(message([each for each in opts() if each[0] != 97])).options


def with_free_bytes(free_bytes: int | None, relay: int) -> bytes:
    return message(
        [*(each for each in opts() if each[0] != 57), (61, bytes(200)), (82, bytes(relay))]
        + ([(57, free_bytes.to_bytes(2, "big"))] if free_bytes is not None else [])
    )


@pytest.mark.parametrize(
    ("free_bytes", "relay", "most", "options"),
    [
        (None, 10, 548, {61, 67, 82}),
        (None, 200, 548, {82}),
        (576, 200, 548, {82}),
        (10, 200, 548, {82}),
        (0, 200, 548, {82}),
        (720, 200, 692, {61, 82}),
        (1500, 255, 1472, {61, 67, 82}),
        (65280, 255, 1472, {61, 67, 82}),
        (None, 255, 548, {82}),
    ],
)
def test_an_offer_keeps_within_what_57_allows(
    wire: Wire, free_bytes: int | None, relay: int, most: int, options: set[int]
):
    reply = wire.query(with_free_bytes(free_bytes, relay))

    assert 300 <= reply.size_bytes <= most
    assert {61, 67, 82} & set(reply.options) == options
    assert reply.name == b"snponly.efi"


# §5: relays


@pytest.mark.parametrize("flags", [0, 0x8000])
def test_a_relay_is_answered_on_67_whatever_the_flag(wire: Wire, flags: int):
    reply = wire.query(message(opts(), giaddr=RELAY, flags=flags, hops=2), source=(RELAY, 67), to=(SERVER, 67))

    assert reply.way == (SERVER, 67, RELAY, 67)
    assert reply.header == (2, 1, 6, 0, 0x1234, 0, flags, *[bytes(4)] * 2, *map(socket.inet_aton, (SERVER, RELAY)))


def test_a_relay_that_sends_from_another_port_is_answered_on_67(wire: Wire):
    reply = wire.query(message(opts(), giaddr=RELAY), source=(RELAY, 1067), to=(SERVER, 67))

    assert reply.way == (SERVER, 67, RELAY, 67)


# §4: port 4011


def to_4011(source: tuple[str, int] = (ADDRESS, 4011)) -> dict[str, tuple[str, int]]:
    return {"source": source, "to": (SERVER, 4011)}


@pytest.mark.parametrize("port", [68, 4011, 50000])
def test_4011_answers_the_address_and_port_of_the_request(wire: Wire, port: int):
    reply = wire.query(vector("request-edk2-4011"), **to_4011((ADDRESS, port)))

    assert reply.way == (SERVER, 4011, ADDRESS, port)
    assert (reply.options[53], reply.options[60], reply.name) == (b"\5", b"PXEClient", b"snponly.efi")
    assert list(reply.options) == [53, 54, 60, 97, 43, 67]


def test_4011_answers_the_source_and_not_ciaddr(wire: Wire):
    reply = wire.query(message(opts(kind=3), ciaddr="192.0.2.99"), **to_4011())

    assert reply.way == (SERVER, 4011, ADDRESS, 4011)


def test_4011_answers_a_client_without_an_address_by_broadcast(wire: Wire):
    reply = wire.query(message(opts(kind=3)), source=("0.0.0.0", 68), to=("255.255.255.255", 4011))

    assert reply.way == (SERVER, 4011, "255.255.255.255", 68)


@pytest.mark.parametrize(
    ("kind", "more"), [(3, []), (8, []), (3, [(54, socket.inet_aton(SERVER))]), (8, [(54, socket.inet_aton(SERVER))])]
)
def test_4011_acknowledges_a_request_or_inform_to_us_or_to_nobody(wire: Wire, kind: int, more: list[tuple[int, bytes]]):
    reply = wire.query(message(opts(kind=kind, more=more), ciaddr=ADDRESS), **to_4011())

    assert (reply.options[53], reply.options[54], reply.header[9]) == (b"\5", *[socket.inet_aton(SERVER)] * 2)
    assert 51 not in reply.options


@pytest.mark.parametrize(
    "ignored",
    [
        *(pytest.param(message(opts(kind=kind)), id=f"type-{kind}") for kind in (1, 2, 4, 5, 6, 7, 9)),
        pytest.param(message(opts(kind=3, vendor=b"MSFT 5.0")), id="other-class"),
        pytest.param(message(opts(kind=3, vendor=None)), id="no-class"),
        pytest.param(message(opts(kind=3, more=[(54, socket.inet_aton("192.0.2.1"))])), id="another-server"),
        pytest.param(message(opts(kind=3, more=[(54, b"\1")])), id="54-malformed"),
        pytest.param(message(opts(kind=3), op=2), id="op-2"),
        pytest.param(message(opts(kind=3, more=[(43, bytes.fromhex("470400018000ff"))])), id="bis"),
        pytest.param(b"", id="empty"),
        pytest.param(CUT, id="cut"),
    ],
)
def test_4011_drops_everything_else(wire: Wire, ignored: bytes):
    assert wire.hears_nothing_of(ignored, **to_4011())


def test_4011_returns_the_requested_boot_item(wire: Wire):
    reply = wire.query(message(opts(kind=3, more=[(43, bytes.fromhex("4704000100 00ff"))])), **to_4011())

    assert reply.options[43] == bytes.fromhex("47040001 0000 ff")


def test_4011_decides_as_67_does_for_ipxe_too(wire: Wire):
    ipxe = vector("discover-ipxe-x64").replace(bytes.fromhex("350101"), bytes.fromhex("3604c000020a350103"))

    offer, ack = wire.query(vector("discover-ipxe-x64")), wire.query(ipxe, **to_4011((ADDRESS, 68)))

    assert ack.way == (SERVER, 4011, ADDRESS, 68)
    assert [(reply.xid, reply.name, reply.header[9], reply.options[54]) for reply in (ack,)] == [
        (offer.xid, offer.name, offer.header[9], offer.options[54])
    ]


def ignored_so_far(rack: Rack) -> int:
    """Read the counter of dropped messages from `/metrics`."""
    with rack.server_socket(socket.AF_INET, socket.SOCK_STREAM) as admin:
        admin.connect(("127.0.0.1", 8470))
        admin.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:8470\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
    return sum(
        int(float(line.split()[-1])) for line in text.splitlines() if line.startswith("netboot_dhcp_ignored_total")
    )
