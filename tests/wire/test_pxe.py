"""Which client sends a message, and whether it is a request: every rule has a row."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.host.mac import Mac
from netboot.wire.dhcp.message import DhcpMessage, parse
from netboot.wire.dhcp.pxe import (
    DropReason,
    ack_address,
    address_shown,
    boot_client,
    boot_item,
    boot_server_request,
    client_mac,
    offer_request,
)

Capture = Callable[[str], bytes]

MAC = Mac("52:54:00:aa:bb:01")
CHADDR = bytes.fromhex("525400aabb01") + bytes(10)
UUID = bytes.fromhex("33221100554477668899aabbccddeeff")
OURS = {IPv4Address("192.0.2.10")}
DISCOVER, REQUEST, INFORM = {53: b"\x01"}, {53: b"\x03"}, {53: b"\x08"}
BIOS = {60: b"PXEClient:Arch:00000:UNDI:002001", 93: b"\x00\x00"}


def a_message(options: dict[int, bytes], **changes: object) -> DhcpMessage:
    return replace(DhcpMessage(op=1, xid=1, chaddr=CHADDR, options=options), **changes)


def a_client(**changes: object) -> BootClient:
    plain = BootClient(MAC, Arch.X86_BIOS, BootProtocol.PXE, Stage.FIRMWARE, "PXEClient:Arch:00000:UNDI:002001")
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("discover-bios", a_client(uuid=UUID)),
        (
            "discover-edk2-x64",
            a_client(arch=Arch.X64_UEFI, vendor_class="PXEClient:Arch:00007:UNDI:003001", uuid=UUID),
        ),
        (
            "discover-edk2-arm64-http",
            a_client(
                arch=Arch.ARM64_UEFI_HTTP,
                protocol=BootProtocol.HTTP,
                vendor_class="HTTPClient:Arch:00019:UNDI:003001",
                uuid=UUID,
            ),
        ),
        (
            "discover-ipxe-x64",
            a_client(
                arch=Arch.X64_UEFI,
                stage=Stage.IPXE,
                vendor_class="PXEClient",
                uuid=UUID,
                is_etherboot=True,
                has_http=True,
            ),
        ),
        ("discover-gpxe", a_client(is_etherboot=True)),
        ("discover-ipxe-without-http", a_client(is_etherboot=True)),
        (
            "discover-uboot-arm64",
            a_client(
                mac=Mac("52:54:00:aa:bb:11"), arch=Arch.UBOOT_ARM64, vendor_class="PXEClient:Arch:00022:UNDI:003000"
            ),
        ),
        ("discover-relayed", a_client(uuid=UUID)),
    ],
)
def test_captured_firmware_is_recognised(capture: Capture, name: str, expected: BootClient) -> None:
    assert offer_request(parse(capture(name)), OURS) == expected


def test_edk2_is_recognised_on_4011_as_on_67(capture: Capture) -> None:
    on_4011 = boot_server_request(parse(capture("request-edk2-4011")), OURS)

    assert on_4011 == offer_request(parse(capture("discover-edk2-x64")), OURS)


@pytest.mark.parametrize("kind", range(2, 9))
def test_port_67_answers_nothing_but_a_discover(kind: int) -> None:
    assert offer_request(a_message({53: bytes((kind,)), **BIOS}), OURS) is DropReason.OTHER_MESSAGE_TYPE


@pytest.mark.parametrize("kind", [1, 2, 4, 5, 6, 7])
def test_port_4011_answers_nothing_but_a_request_or_an_inform(kind: int) -> None:
    assert boot_server_request(a_message({53: bytes((kind,)), **BIOS}), OURS) is DropReason.OTHER_MESSAGE_TYPE


@pytest.mark.parametrize("classify", [offer_request, boot_server_request])
@pytest.mark.parametrize("kind", [{}, {53: b""}, {53: b"\x00"}, {53: b"\x09"}, {53: b"\x01\x01"}])
def test_a_message_without_a_type_is_bootp(classify: Callable[..., object], kind: dict[int, bytes]) -> None:
    assert classify(a_message({**kind, **BIOS}), OURS) is DropReason.NO_MESSAGE_TYPE


@pytest.mark.parametrize("classify", [offer_request, boot_server_request])
def test_a_servers_reply_is_no_request(classify: Callable[..., object]) -> None:
    assert classify(a_message({**DISCOVER, **BIOS}, op=2), OURS) is DropReason.NOT_A_REQUEST


@pytest.mark.parametrize(
    "vendor_class",
    [
        pytest.param(None, id="none, as GRUB's net_bootp"),
        b"",
        b"PXEClien",
        b"pxeclient:Arch:00000",
        b" PXEClient",
        b"MSFT 5.0",
        b"anaconda-Linux 4.18 x86_64",
        b"udhcp 1.36",
        b"U-Boot.armv8",
    ],
)
def test_other_clients_than_boot_clients_are_dropped(vendor_class: bytes | None) -> None:
    options = {**DISCOVER, 93: b"\x00\x00"} | ({} if vendor_class is None else {60: vendor_class})

    assert offer_request(a_message(options), OURS) is DropReason.NOT_A_BOOT_CLIENT


@pytest.mark.parametrize("tail", [b"", b"\0", b":Arch:00000:UNDI:002001", b":anything", bytes(range(128, 200))])
def test_any_tail_behind_the_class_is_a_boot_client(tail: bytes) -> None:
    assert isinstance(offer_request(a_message({**DISCOVER, 60: b"PXEClient" + tail, 93: b"\0\0"}), OURS), BootClient)


def test_a_class_in_halves_is_whole(capture: Capture) -> None:
    whole = capture("discover-edk2-x64")
    name = b"PXEClient:Arch:00007:UNDI:003001"
    halves = whole.replace(b"\x3c\x20" + name, b"\x3c\x04" + name[:4] + b"\x3c\x1c" + name[4:])

    assert boot_client(parse(halves)) == boot_client(parse(whole))


@pytest.mark.parametrize(
    ("listed", "vendor_class", "expected"),
    [
        pytest.param(b"\x00\x07", b"PXEClient:Arch:00000", Arch.X64_UEFI, id="93 goes before the class"),
        pytest.param(b"\x00\x0b\x00\x07", b"PXEClient", Arch.ARM64_UEFI, id="93 is a list, its first counts"),
        pytest.param(b"\x00\x09", b"PXEClient", Arch.X64_UEFI_9, id="9 is x64 as 7 is"),
        pytest.param(None, b"PXEClient:Arch:00011:UNDI:003000", Arch.ARM64_UEFI, id="the class where 93 is absent"),
        pytest.param(b"", b"PXEClient:Arch:00007", Arch.X64_UEFI, id="the class where 93 is empty"),
        pytest.param(b"\x07", b"PXEClient:Arch:00007", Arch.X64_UEFI, id="the class where 93 is odd"),
        pytest.param(b"\0\7\0", b"PXEClient:Arch:00006", Arch.IA32_UEFI, id="the class where 93 is of three bytes"),
        pytest.param(None, b"PXEClient", DropReason.NO_ARCHITECTURE, id="never guessed as BIOS"),
        pytest.param(b"\x07", b"PXEClient:Arch:7", DropReason.NO_ARCHITECTURE, id="five digits or none"),
        pytest.param(None, b"PXEClient:Arch:-0007", DropReason.NO_ARCHITECTURE, id="digits alone"),
        pytest.param(b"\x00\x14", b"PXEClient:Arch:00000", 20, id="20: BIOS by HTTP"),
        pytest.param(b"\x00\x15", b"PXEClient", Arch.UBOOT_ARM32, id="21: U-Boot"),
        pytest.param(b"\x00\x01", b"PXEClient:Arch:00000", 1, id="1: NEC"),
        pytest.param(b"\xff\xff", b"PXEClient", 65535, id="65535"),
    ],
)
def test_the_architecture_is_read_and_never_guessed(
    listed: bytes | None, vendor_class: bytes, expected: int | DropReason
) -> None:
    options = {**DISCOVER, 60: vendor_class} | ({} if listed is None else {93: listed})

    client = offer_request(a_message(options), OURS)

    assert (client.arch if isinstance(client, BootClient) else client) == expected


@pytest.mark.parametrize("arch", Arch)
@pytest.mark.parametrize(
    ("vendor_class", "protocol"), [(b"PXEClient", BootProtocol.PXE), (b"HTTPClient", BootProtocol.HTTP)]
)
def test_the_class_picks_the_protocol_for_every_architecture(
    arch: Arch, vendor_class: bytes, protocol: BootProtocol
) -> None:
    client = boot_client(a_message({60: vendor_class, 93: arch.to_bytes(2, "big")}))

    assert client == a_client(arch=arch, protocol=protocol, vendor_class=vendor_class.decode())


HTTP = bytes.fromhex("130101")  # a feature in option 175


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({77: b"iPXE"}, Stage.IPXE, id="77 as raw bytes"),
        pytest.param({77: b"\x04iPXE"}, Stage.IPXE, id="77 as a list of one"),
        pytest.param({77: b"\x03foo\x04iPXE\x03bar"}, Stage.IPXE, id="77 as a list of several"),
        pytest.param({77: b"iPXE", 175: HTTP}, Stage.IPXE, id="77, and http among the features"),
        pytest.param({77: b"iPXE", 175: b"\xb1\x01\x01\0\0" + HTTP}, Stage.IPXE, id="http behind padding"),
        pytest.param({77: b"iPXE", 175: HTTP + b"\x18\x05\x01"}, Stage.IPXE, id="http before what is malformed"),
        pytest.param({77: b"iPXE", 175: b"\x15\x01\x01"}, Stage.FIRMWARE, id="iPXE without http"),
        pytest.param({77: b"iPXE", 175: b"\x18\x05" + HTTP}, Stage.FIRMWARE, id="http within what is malformed"),
        pytest.param({77: b"iPXE", 175: b"\x15\x03" + HTTP}, Stage.FIRMWARE, id="http within another feature"),
        pytest.param({77: b"iPXE", 175: b"\xff" + HTTP}, Stage.FIRMWARE, id="http behind the end"),
        pytest.param({77: b"iPXE", 175: b"\0"}, Stage.FIRMWARE, id="iPXE with a 175 of one zero byte"),
        pytest.param({175: HTTP}, Stage.FIRMWARE, id="http alone names no iPXE"),
        pytest.param({77: b"gPXE", 175: HTTP}, Stage.FIRMWARE, id="gPXE reads no iPXE script"),
        pytest.param({175: b"\xb1\x05"}, Stage.FIRMWARE, id="a malformed 175"),
        pytest.param({175: b"\0"}, Stage.FIRMWARE, id="175 of one zero byte"),
        pytest.param({175: b""}, Stage.FIRMWARE, id="175 of no bytes"),
        pytest.param({77: b"gPXE"}, Stage.FIRMWARE, id="another's class"),
        pytest.param({77: b"\x08not-iPXE"}, Stage.FIRMWARE, id="iPXE within another's class"),
        pytest.param({77: b"\x09iPXE"}, Stage.FIRMWARE, id="a length past the end"),
        pytest.param({77: b"\x00\x04iPXE"}, Stage.FIRMWARE, id="a class of no bytes"),
        pytest.param({77: b""}, Stage.FIRMWARE, id="an empty 77"),
        pytest.param({}, Stage.FIRMWARE, id="neither"),
    ],
)
def test_ipxe_is_recognised_by_77_and_by_the_features_in_175(options: dict[int, bytes], expected: Stage) -> None:
    client = boot_client(a_message({**BIOS, **options}))

    assert isinstance(client, BootClient)
    assert client.stage is expected
    assert client.is_etherboot is (175 in options or expected is Stage.IPXE or options.get(77) == b"gPXE")


IB_MAC = Mac.standing_for(b"\xff" + bytes(11), length=8)
GUID_MAC = Mac.standing_for(bytes(range(16)))


@pytest.mark.parametrize(
    ("changes", "options", "expected"),
    [
        pytest.param({}, {}, MAC, id="Ethernet"),
        pytest.param({"htype": 6}, {}, MAC, id="IEEE 802"),
        pytest.param({"htype": 32, "hlen": 0, "chaddr": bytes(16)}, {61: b"\xff" + bytes(11)}, IB_MAC, id="InfiniBand"),
        pytest.param({"htype": 32, "hlen": 0, "chaddr": bytes(16)}, {61: b"\1" + CHADDR[:6]}, MAC, id="a MAC in 61"),
        pytest.param({"htype": 32, "hlen": 0, "chaddr": bytes(16)}, {}, None, id="InfiniBand without 61"),
        pytest.param({"hlen": 0}, {}, None, id="no address"),
        pytest.param({"htype": 7}, {61: b"\1" + CHADDR[:6]}, MAC, id="ARCNET with a MAC in 61"),
        pytest.param({"htype": 7}, {}, None, id="ARCNET without 61"),
        pytest.param(
            {"hlen": 16, "chaddr": bytes(range(16))}, {61: b"\1" + CHADDR[:6]}, MAC, id="a GUID and a MAC in 61"
        ),
        pytest.param({"hlen": 0}, {61: b"\1" + CHADDR[:6]}, None, id="no address but a MAC in 61"),
        pytest.param({"hlen": 16, "chaddr": bytes(range(16))}, {}, GUID_MAC, id="a GUID"),
        pytest.param({"hlen": 16, "chaddr": bytes(16)}, {}, None, id="a GUID of zeros"),
        pytest.param({"chaddr": bytes(16)}, {}, None, id="zeros"),
        pytest.param({"chaddr": b"\x01" + bytes(15)}, {}, None, id="a group address"),
        pytest.param({"chaddr": CHADDR[:6] + b"behind it"}, {}, MAC, id="junk behind six bytes"),
    ],
)
def test_a_machine_is_its_mac(changes: dict[str, object], options: dict[int, bytes], expected: Mac | None) -> None:
    assert client_mac(a_message({**BIOS, **options}, **changes)) == expected


GUID = Mac("b8:ce:f6:03:00:31:33:3e")
RAW_GUID = bytes.fromhex("b8cef6030031333e")
IPOIB = bytes.fromhex("80000048fe80000000000000") + RAW_GUID
IAID = b"\xff\0\0\0\1"
NOTHING = bytes(16)


@pytest.mark.parametrize(
    ("hlen", "chaddr", "client_id"),
    [
        pytest.param(8, RAW_GUID + bytes(8), None, id="hlen-8"),
        pytest.param(8, RAW_GUID + b"junk....", b"\xff\0\0\0\1\0\4" + bytes(range(16)), id="hlen-8-goes-before-61"),
        pytest.param(16, IPOIB[4:], None, id="a-gid-of-16-bytes"),
        pytest.param(0, NOTHING, IAID + b"\0\3\0\x20" + RAW_GUID, id="duid-ll"),
        pytest.param(0, NOTHING, IAID + b"\0\3\0\x20" + IPOIB, id="duid-ll-of-20-bytes"),
        pytest.param(0, NOTHING, IAID + b"\0\1\0\x20\1\2\3\4" + RAW_GUID, id="duid-llt"),
        pytest.param(0, NOTHING, b"\x20" + RAW_GUID, id="type-and-guid"),
        pytest.param(0, NOTHING, b"\x20" + IPOIB, id="type-and-ipoib-address"),
        pytest.param(0, NOTHING, bytes.fromhex("ff00000000000200 0002c900") + RAW_GUID, id="mellanox-duid-en"),
        pytest.param(20, IPOIB[:16], b"\x20" + IPOIB, id="hlen-20-cut-in-chaddr"),
        pytest.param(8, NOTHING, b"\x20" + RAW_GUID, id="chaddr-of-zeros"),
    ],
)
def test_an_infiniband_port_is_its_guid_however_it_is_sent(hlen: int, chaddr: bytes, client_id: bytes | None) -> None:
    options = BIOS if client_id is None else {**BIOS, 61: client_id}

    assert client_mac(a_message(options, htype=32, hlen=hlen, chaddr=chaddr)) == GUID


@pytest.mark.parametrize("name", ["infiniband-client-id", "infiniband-guid8"])
def test_captured_infiniband_clients_have_one_identity(capture: Capture, name: str) -> None:
    client = offer_request(parse(capture(name)), OURS)

    assert client == a_client(mac=GUID, arch=Arch.X64_UEFI, vendor_class="PXEClient:Arch:00007:UNDI:003001")


@pytest.mark.parametrize(
    "client_id",
    [
        IAID + b"\0\4" + bytes(range(16)),
        IAID + b"\0\3\0\1" + CHADDR[:6],
        IAID + b"\0\2\0\0\1\x37" + bytes(range(16)),
        b"\x20" + bytes(8),
        b"\0uuid",
        b"\xff",
    ],
)
def test_an_infiniband_client_without_a_guid_gets_eight_bytes_in_its_place(client_id: bytes) -> None:
    mac = client_mac(a_message({**BIOS, 61: client_id}, htype=32, hlen=0, chaddr=bytes(16)))

    assert (mac is None) if len(client_id) < 2 else (mac is not None and mac.is_infiniband and mac.startswith("02:"))


@pytest.mark.parametrize("hlen", [0, 6, 8, 16, 20])
def test_an_infiniband_client_without_any_identity_is_dropped(hlen: int) -> None:
    assert boot_client(a_message(BIOS, htype=32, hlen=hlen, chaddr=bytes(16))) is DropReason.NO_MAC


def test_a_machine_without_any_identity_is_dropped() -> None:
    assert boot_client(a_message(BIOS, hlen=0)) is DropReason.NO_MAC


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (BIOS, DropReason.RASPBERRY_PI_ROM),
        ({60: b"PXEClient:Arch:00011", 93: b"\0\x0b"}, Arch.ARM64_UEFI),
        ({**BIOS, 175: b"\1\1\1"}, Arch.X86_BIOS),
    ],
)
def test_a_raspberry_pi_rom_is_no_bios(options: dict[int, bytes], expected: DropReason | Arch) -> None:
    client = boot_client(a_message(options, chaddr=bytes.fromhex("dca632000001") + bytes(10)))

    assert (client.arch if isinstance(client, BootClient) else client) == expected


def test_hostile_bytes_in_a_class_are_escaped_for_logs() -> None:
    client = boot_client(a_message({60: b"PXEClient\r\n\x1b[31m\xff", 93: b"\0\0"}))

    assert client == a_client(vendor_class=r"PXEClient\r\n\x1b[31m\xff")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\0" + UUID, UUID),
        pytest.param(bytes(17), None, id="zeros: SMBIOS unread"),
        pytest.param(b"\1" + UUID, None, id="another type"),
        pytest.param(UUID, None, id="another length"),
    ],
)
def test_a_uuid_is_type_0_and_16_bytes(value: bytes, expected: bytes | None) -> None:
    assert boot_client(a_message({**BIOS, 97: value})) == a_client(uuid=expected)


@pytest.mark.parametrize("giaddr", ["127.0.0.1", "0.0.0.9", "239.1.1.1", "255.255.255.255", "192.0.2.10"])
def test_a_bogus_relay_gets_no_answer(giaddr: str) -> None:
    message = a_message({**DISCOVER, **BIOS}, giaddr=IPv4Address(giaddr))

    assert offer_request(message, OURS) is DropReason.BOGUS_RELAY


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({**REQUEST, **BIOS}, a_client(), id="without 54, as EDK2"),
        pytest.param({**REQUEST, **BIOS, 54: bytes((192, 0, 2, 10))}, a_client(), id="54 is ours, as iPXE"),
        pytest.param({**INFORM, **BIOS}, a_client(), id="an INFORM"),
        pytest.param({**REQUEST, **BIOS, 54: bytes((192, 0, 2, 1))}, DropReason.OTHER_BOOT_SERVER, id="another server"),
        pytest.param({**REQUEST, **BIOS, 54: b"\xc0"}, DropReason.OTHER_BOOT_SERVER, id="54 of one byte"),
        pytest.param({**REQUEST, 60: b"HTTPClient", 93: b"\0\x10"}, DropReason.NOT_A_BOOT_CLIENT, id="HTTPClient"),
        pytest.param({**REQUEST, 60: b"MSFT 5.0"}, DropReason.NOT_A_BOOT_CLIENT, id="another class"),
        pytest.param({**REQUEST, **BIOS, 43: bytes.fromhex("470400008000")}, DropReason.SIGNED_BOOT_ITEM, id="BIS"),
        pytest.param({**REQUEST, **BIOS, 43: bytes.fromhex("470400000000ff")}, a_client(), id="a boot item"),
        pytest.param({**REQUEST, **BIOS, 43: b"\x47"}, a_client(), id="a broken 43 discards nothing"),
    ],
)
def test_port_4011_answers_requests_to_this_server(
    options: dict[int, bytes], expected: BootClient | DropReason
) -> None:
    assert boot_server_request(a_message(options), OURS) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (bytes.fromhex("470400010000ff"), bytes.fromhex("00010000")),
        (bytes.fromhex("060108 00 470400010000"), bytes.fromhex("00010000")),
        pytest.param(bytes.fromhex("ff470400010000"), None, id="behind the end"),
        pytest.param(bytes.fromhex("47020001ff"), None, id="two bytes"),
        pytest.param(bytes.fromhex("47040001"), None, id="cut short"),
        pytest.param(bytes.fromhex("06"), None, id="no length"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_a_boot_item_is_four_bytes(value: bytes, expected: bytes | None) -> None:
    assert boot_item(a_message({43: value})) == expected


@given(st.binary(max_size=255))
def test_no_option_43_breaks_its_reader(value: bytes) -> None:
    item = boot_item(a_message({43: value}))

    assert item is None or len(item) == 4


@given(st.dictionaries(st.sampled_from((43, 50, 53, 54, 60, 61, 77, 82, 93, 97, 175)), st.binary(max_size=40)))
def test_no_options_break_the_parser(options: dict[int, bytes]) -> None:
    for classify in (offer_request, boot_server_request):
        assert isinstance(classify(a_message({60: b"PXEClient", **options}), OURS), BootClient | DropReason)


@pytest.mark.parametrize(
    ("options", "ciaddr", "expected"),
    [
        pytest.param({**REQUEST, 50: bytes((192, 0, 2, 50))}, "0.0.0.0", "192.0.2.50", id="selecting"),
        pytest.param(REQUEST, "192.0.2.51", "192.0.2.51", id="rebinding, or 4011"),
        pytest.param(INFORM, "192.0.2.52", "192.0.2.52", id="informing"),
        pytest.param(REQUEST, "0.0.0.0", None, id="no address at all"),
        pytest.param({**REQUEST, 50: b"\xff" * 4}, "0.0.0.0", None, id="no machine's address"),
        pytest.param(
            {**DISCOVER, 50: bytes((192, 0, 2, 50))}, "0.0.0.0", None, id="a requested address is not a lease"
        ),
    ],
)
def test_a_request_shows_its_machines_address(options: dict[int, bytes], ciaddr: str, expected: str | None) -> None:
    shown = address_shown(a_message(options, ciaddr=IPv4Address(ciaddr)))

    assert shown == (None if expected is None else (MAC, IPv4Address(expected)))


def test_4011_answers_the_address_and_port_of_the_request() -> None:
    assert ack_address(("192.0.2.50", 4011)) == ("192.0.2.50", 4011)
    assert ack_address(("192.0.2.50", 68)) == ("192.0.2.50", 68)
    assert ack_address(("0.0.0.0", 68)) == ("255.255.255.255", 68)


def test_all_discovers_of_one_exchange_have_its_number_and_a_request_on_4011_has_none() -> None:
    discover = a_message(DISCOVER | BIOS, xid=0x1234, secs=12)
    on_4011 = replace(discover, options=REQUEST | BIOS)

    request, repeated = boot_client(discover), boot_client(on_4011)

    assert isinstance(request, BootClient)
    assert isinstance(repeated, BootClient)
    assert (request.exchange, request.elapsed, repeated.exchange) == (0x1234, 12, None)
