"""The fuzz targets: each one takes any bytes and raises an error if a parser violates a rule.

Grow the corpus with `python tests/fuzz/run.py dhcp tests/fuzz/corpus/dhcp` (Ctrl-C ends it; see libFuzzer's options).
"""

import struct
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

from fuzz.content_targets import CONTENT_TARGETS

from netboot.boot.firmware.requested_names import is_requested_by_loaders, without_tail
from netboot.boot.records.shown_text import shown
from netboot.content.bootfiles.directories import boot_file_name
from netboot.errors import ContentError, WireError
from netboot.ignition.check import read_ignition
from netboot.model.boot.boot_client import BootClient
from netboot.model.boot.offer import Offer, OfferKind
from netboot.model.host.mac import Mac
from netboot.model.install.token import Tokens
from netboot.model.lease import LeaseRequest, LeaseTerms
from netboot.serve.static_http.conditional import byte_range
from netboot.serve.static_http.head import LONGEST_HEAD_BYTES, StaticRequest, read_head
from netboot.wire.dhcp import lease_request as lease
from netboot.wire.dhcp import message as dhcp
from netboot.wire.dhcp import pxe
from netboot.wire.dhcp.lease_reply import LeaseAnswer, lease_reply
from netboot.wire.dhcp.message import DhcpMessage
from netboot.wire.dhcp.pxe_reply import Reply, ServerAddress, ack_reply, offer_reply
from netboot.wire.syslog.framing import MessageStream
from netboot.wire.syslog.syslog_message import (
    LONGEST_MESSAGE_BYTES,
    LONGEST_PROGRAM,
    LONGEST_TEXT,
    journal_message,
    reported_message,
    syslog_message,
)
from netboot.wire.tftp import packet as tftp
from netboot.wire.tftp.transfer import Sender
from netboot.yamlfile import positions as yaml_lines
from netboot.yamlfile.faults import Faults

TERMS = LeaseTerms(
    IPv4Network("192.0.2.0/24"), IPv4Address("192.0.2.50"), 3600, host_name="cp1", domain="rack.example.org"
)
OURS = {IPv4Address("192.0.2.10")}
SERVER = ServerAddress(IPv4Address("192.0.2.10"), 8080)
FILE = bytes(range(256)) * 16
TOKENS = Tokens("0123456789abcdef" * 2, "a" * 32, "fedcba9876543210" * 2)


def dhcp_message(data: bytes) -> None:
    """Any datagram on 67 or 4011 is refused, dropped, or answered by a valid message that fits."""
    try:
        message = dhcp.parse(data)
    except WireError:
        return
    pxe.address_shown(message)
    mac = pxe.client_mac(message)
    assert mac is None or Mac.parse(mac) == mac
    request = lease.lease_request(message, OURS, is_unicast=False)
    if isinstance(request, LeaseRequest):
        _check_lease(message, request)
    for request, reply in ((pxe.offer_request, offer_reply), (pxe.boot_server_request, ack_reply)):
        client = request(message, OURS)
        if not isinstance(client, BootClient):
            continue
        for kind in OfferKind:
            name = "snponly.efi" if kind is OfferKind.LOADER else ""
            answer = reply(message, client, Offer(kind, client.mac, name), SERVER)
            if isinstance(answer, Reply):
                _check_reply(message, answer)


def _check_reply(message: DhcpMessage, answer: Reply) -> None:
    result = dhcp.parse(answer.data)
    assert (result.op, result.xid, result.chaddr) == (dhcp.REPLY, message.xid, message.chaddr)
    assert dhcp.SMALLEST_MESSAGE_BYTES <= len(answer.data) <= min(max(message.largest_reply_bytes, 576), 1500) - 28
    assert all(result.options.values())
    codes = list(result.options)
    assert {1, 3, 6, 50, 51, 52, 58, 59}.isdisjoint(codes)
    if 67 in codes:
        name = bytes((67, len(result.options[67]))) + result.options[67]
        assert name + b"\0" in answer.data
    assert 67 not in codes or set(codes[codes.index(67) + 1 :]) <= {82}


def _check_lease(message: DhcpMessage, request: LeaseRequest) -> None:
    """Any request for an address is answered by a valid message that fits and returns the option of the subnet."""
    client = pxe.boot_client(message)
    boot = (client, Offer(OfferKind.LOADER, client.mac, "snponly.efi")) if isinstance(client, BootClient) else None
    for kind in (LeaseAnswer.OFFER, LeaseAnswer.ACK):
        answer = lease_reply(message, kind, TERMS, SERVER, boot=boot)
        result = dhcp.parse(answer.data)
        assert (result.op, result.xid, result.chaddr, result.yiaddr) == (
            dhcp.REPLY,
            message.xid,
            message.chaddr,
            TERMS.address,
        )
        assert len(answer.data) <= min(max(message.largest_reply_bytes, 576), 1500) - 28
        assert all(result.options.values())
        if 118 in result.options:
            assert request.subnet == IPv4Address(result.options[118])
        if 82 in result.options:
            assert result.options[82] == message.options[82]
            assert list(result.options)[-1] == 82


def tftp_read(data: bytes) -> None:
    """Any datagram on 69, and then any answers of its sender to our packets."""
    first, *others = data.split(b"\n--\n")
    try:
        packet = tftp.parse(first)
    except WireError:
        return
    if not isinstance(packet, tftp.ReadRequest):
        return
    with suppress(ContentError):
        assert ".." not in boot_file_name(packet.name).split("/")
    meant = without_tail(packet.name, ["snponly.efi", "ipxe.efi"])
    assert meant is None or meant in packet.name.replace("\\", "/")
    is_requested_by_loaders(packet.name)
    terms = tftp.negotiate(packet, len(FILE), mtu=1500)
    assert set(terms.acknowledged) <= set(packet.options)
    sender, now = Sender(terms, len(FILE)), 0.0
    sender.supply(0, FILE)
    for answer in (b"", *others):
        sender.receive_datagram(answer, now)
        due = sender.datagrams_to_send(now)
        assert len(due) <= terms.windowsize
        for before, after in pairwise(due):
            assert (_block(after) - _block(before)) & 0xFFFF == 1
        assert all(len(datagram) <= 512 + 4 or len(datagram) <= terms.blksize + 4 for datagram in due)
        now += 0.5
        sender.handle_deadline(now)
    assert 0 <= sender.bytes_sent <= len(FILE)


def _block(datagram: bytes) -> int:
    number: int = struct.unpack_from("!H", datagram, 2)[0]
    return number


def http_request(data: bytes) -> None:
    """Any bytes on 8080: the result for the head, and the range that it requests."""
    found = read_head(data)
    if not isinstance(found, StaticRequest):
        return
    assert 0 < found.length <= LONGEST_HEAD_BYTES + 4
    assert data[found.length - 4 : found.length] == b"\r\n\r\n"
    assert found.path.startswith(("/content/", "/ostree/", "/bootfiles/", "/boot/"))
    chosen = byte_range(found.fields.get("range", ""), 1000)
    assert chosen is None or (0 <= chosen.start <= chosen.stop <= 1000)


def yaml_text(data: bytes) -> None:
    """Any text in a YAML file gives a tree, or faults with their places."""
    faults = Faults()
    tree = yaml_lines.parse(data.decode("utf-8", "replace"), "hosts.yaml", faults)
    assert tree is not None or len(faults)
    for problem in faults.problems:
        assert all(char >= " " for char in str(problem))


def ignition_file(data: bytes) -> None:
    """Any bytes in an Ignition file give problems, each in one line, and never an exception."""
    for problem in read_ignition(data).problems:
        assert str(problem).isprintable(), problem


def syslog_stream(data: bytes) -> None:
    """Any bytes as a datagram, as lines of a report, and as a stream: bounded, in one line, the same in any pieces."""
    for message in (syslog_message(data), journal_message(data), *map(reported_message, data.splitlines())):
        if message is not None:
            assert 0 < len(message.text) <= LONGEST_TEXT
            assert len(message.program) <= LONGEST_PROGRAM
            assert message.text.splitlines() == [message.text]
            hidden = shown(message.text, TOKENS)
            assert not any(token in hidden for token in (TOKENS.kickstart, TOKENS.ignition, TOKENS.report))
    whole, pieces = MessageStream(), MessageStream()
    messages = [*whole.feed(data), *whole.end()]
    size = data[0] % 50 + 1 if data else 1
    parts = [message for at in range(0, len(data), size) for message in pieces.feed(data[at : at + size])]
    assert [*parts, *pieces.end()] == messages
    assert all(0 < len(message) <= LONGEST_MESSAGE_BYTES for message in messages)


TARGETS = {
    "dhcp": dhcp_message,
    "tftp": tftp_read,
    "http": http_request,
    "yaml": yaml_text,
    "ignition": ignition_file,
    "syslog": syslog_stream,
    **CONTENT_TARGETS,
}
