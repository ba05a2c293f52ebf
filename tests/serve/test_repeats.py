"""A repeated request: the same reply with the new `xid`, for as long as the decision is the same."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import Offer, OfferKind
from netboot.model.host.mac import Mac
from netboot.serve.dhcp.repeats import KEPT, LONGEST_BYTES, Answered, Repeats
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.message import DhcpMessage
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress, offer_reply

MAC = Mac.parse("52:54:00:aa:bb:01")
SERVER = ServerAddress(IPv4Address("192.0.2.10"), 8080)
OFFER = Offer(OfferKind.LOADER, MAC, "snponly.efi")
REQUEST = DhcpMessage(
    op=1,
    xid=1,
    chaddr=bytes.fromhex("525400aabb01") + bytes(10),
    options={53: b"\1", 60: b"PXEClient:Arch:00007:UNDI:003001", 93: b"\0\7"},
)
CLIENT = BootClient(MAC, Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE, "PXEClient:Arch:00007:UNDI:003001")


def kept(repeats: Repeats, datagram: DhcpMessage) -> bytes:
    """Let a request be parsed, answered and kept."""
    data = dhcp.build(datagram)
    message = dhcp.parse(data)
    client = pxe.boot_client(message)
    assert isinstance(client, BootClient)
    reply = offer_reply(message, client, OFFER, SERVER)
    assert isinstance(reply, Reply)
    repeats.keep(data, message, Answered(client, OFFER, SERVER, reply))
    return data


def test_the_answer_of_memory_is_the_one_that_would_be_written():
    repeats = Repeats()
    kept(repeats, REQUEST)
    again = replace(REQUEST, xid=0xDEADBEEF, secs=28)

    found = repeats.find(dhcp.build(again))

    assert found is not None
    assert found.reply_to(dhcp.build(again)) == offer_reply(again, CLIENT, OFFER, SERVER)
    client = found.client_of(dhcp.build(again))
    assert (client, client.exchange, client.elapsed) == (CLIENT, 0xDEADBEEF, 28)


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": 0x8000},
        {"ciaddr": IPv4Address("192.0.2.50")},
        {"chaddr": bytes.fromhex("525400aabb02") + bytes(10)},
        {"options": {**REQUEST.options, 93: b"\0\x09"}},
    ],
)
def test_any_other_difference_is_another_request(changes: dict[str, object]):
    repeats = Repeats()
    kept(repeats, REQUEST)

    assert repeats.find(dhcp.build(replace(REQUEST, **changes))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(replace(REQUEST, giaddr=IPv4Address("198.51.100.1")), id="relayed"),
        pytest.param(replace(REQUEST, options={**REQUEST.options, 53: b"\3"}), id="a-request"),
        pytest.param(
            replace(REQUEST, options={**REQUEST.options, **{code: bytes(255) for code in range(128, 134)}}), id="long"
        ),
    ],
)
def test_what_depends_on_more_or_is_too_long_is_not_kept(datagram: DhcpMessage):
    repeats = Repeats()

    data = kept(repeats, datagram)

    assert repeats.find(data) is None
    assert len(data) < 2 * LONGEST_BYTES


def test_memory_is_bounded_and_forgets_the_oldest():
    repeats = Repeats()
    requests = [kept(repeats, replace(REQUEST, flags=number)) for number in range(KEPT + 2)]

    assert [repeats.find(data) is not None for data in (requests[0], requests[1], requests[2], requests[-1])] == [
        *(False, False),
        *(True, True),
    ]
