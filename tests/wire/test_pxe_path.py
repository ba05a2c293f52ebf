"""The relay and the port that a DISCOVER shows (giaddr, option 82), which are kept and never decided by."""

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from netboot.model.boot.boot_client import BootClient, RelayPath
from netboot.wire.dhcp.message import DhcpMessage, parse
from netboot.wire.dhcp.pxe import boot_server_request, offer_request

DISCOVER = {53: b"\x01", 60: b"PXEClient:Arch:00007:UNDI:003001", 93: b"\x00\x07"}
RELAY = IPv4Address("198.51.100.1")


def a_message(options: dict[int, bytes], *, giaddr: str = "0.0.0.0") -> DhcpMessage:
    chaddr = bytes.fromhex("525400aabb01") + bytes(10)
    return DhcpMessage(op=1, xid=1, chaddr=chaddr, options=options, giaddr=IPv4Address(giaddr))


def path_of(client: object) -> RelayPath | None:
    assert isinstance(client, BootClient)
    return client.path


def test_a_captured_relayed_discover_shows_its_relay_and_port(capture: Callable[[str], bytes]) -> None:
    client = offer_request(parse(capture("discover-relayed")), ())

    assert path_of(client) == RelayPath(RELAY, "eth0/1/7", "00:06:02:00:5e:10:20:30")


@pytest.mark.parametrize(
    ("option_82", "giaddr", "expected"),
    [
        (None, "0.0.0.0", None),
        (b"", "0.0.0.0", None),
        (b"\x05\x04\xc0\x00\x02\x00", "0.0.0.0", None),
        (None, str(RELAY), RelayPath(RELAY)),
        (b"\x01\x03ge1", "0.0.0.0", RelayPath(None, "ge1")),
        (b"\x02\x06\x00\x04\x00\x0a\x01\x02", str(RELAY), RelayPath(RELAY, "", "00:04:00:0a:01:02")),
        (b"\x01\x05a\x1b[2J", str(RELAY), RelayPath(RELAY, "61:1b:5b:32:4a")),
        (b"\x01\x20ge", str(RELAY), RelayPath(RELAY)),
        (b"\x01\xff" + b"x" * 255, str(RELAY), RelayPath(RELAY, "x" * 64)),
    ],
)
def test_ids_are_bounded_text_or_hex(option_82: bytes | None, giaddr: str, expected: RelayPath | None) -> None:
    options = DISCOVER if option_82 is None else {**DISCOVER, 82: option_82}

    assert path_of(offer_request(a_message(options, giaddr=giaddr), ())) == expected


def test_a_request_on_4011_shows_no_path() -> None:
    message = a_message({**DISCOVER, 53: b"\x03", 82: b"\x01\x03ge1"})

    assert path_of(boot_server_request(message, ())) is None
