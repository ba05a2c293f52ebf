"""What the running daemon sends on port 69, and what it drops: RFC 1350, 2347 to 2349, 7440, rule by rule."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from fixtures.files import FILES
from fixtures.packets import ADDRESS, SERVER, vector
from fixtures.rack import Rack
from fixtures.wire import Wire
from scapy.layers.inet import UDP

pytestmark = pytest.mark.integration

TIMEOUT_S = 2.0
BRIEF_S = 0.25
LOADER = FILES["undionly.kpxe"]


class Reader:
    """A TFTP client that follows no rule by itself."""

    def __init__(self, rack: Rack, address: str = ADDRESS) -> None:
        self.socket = rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.server = (SERVER, 69)

    def send(self, data: bytes, to: tuple[str, int] | None = None) -> None:
        self.socket.sendto(data, to or self.server)

    def query(self, name: bytes, mode: bytes = b"octet", *options: bytes) -> bytes:
        """Send a read request; return the first answer and follow its port."""
        self.send(request(name, mode, *options), (SERVER, 69))
        data = self.take()
        assert data is not None, "no answer came"
        return data

    def take(self, timeout_s: float = TIMEOUT_S) -> bytes | None:
        self.socket.settimeout(timeout_s)
        try:
            data, self.server = self.socket.recvfrom(70_000)
        except TimeoutError:
            return None
        return data

    def ack(self, block: int, timeout_s: float = TIMEOUT_S) -> bytes | None:
        self.send(struct.pack("!HH", 4, block & 0xFFFF))
        return self.take(timeout_s)

    def rest(self, first: bytes, blksize: int = 512) -> bytes:
        """Read on from DATA 1, one block at a time."""
        content, block, data = first[4:], 1, first
        while len(data) - 4 == blksize:
            data = self.ack(block) or b""
            block += 1
            assert data[:4] == struct.pack("!HH", 3, block & 0xFFFF)
            content += data[4:]
        self.send(struct.pack("!HH", 4, block & 0xFFFF))
        return content


def request(name: bytes, mode: bytes = b"octet", *options: bytes) -> bytes:
    return b"\0\1" + b"\0".join((name, mode, *options)) + b"\0"


def code(answer: bytes | None) -> int | None:
    """The code of an ERROR with its text ended by a zero; None for anything else."""
    if answer is None or answer[:2] != b"\0\5" or not answer.endswith(b"\0"):
        return None
    return answer[3]


def granted(oack: bytes) -> dict[bytes, bytes]:
    assert oack[:2] == b"\0\6", oack
    fields = oack[2:].split(b"\0")[:-1]
    return dict(zip(fields[::2], fields[1::2], strict=True))


@pytest.fixture
def reader(open_rack: Rack) -> Iterator[Reader]:
    reader = Reader(open_rack)
    yield reader
    with contextlib.suppress(OSError):  # so that no read of this test is left half open
        reader.send(b"\0\5\0\0bye\0")
    reader.socket.close()


# Requests


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"\0\1undionly.kpxe\0octet", id="unterminated"),
        pytest.param(b"\0\1undionly.kpxe", id="no-mode"),
        pytest.param(b"\0\1undionly.kpxe\0", id="no-mode-but-terminated"),
        pytest.param(b"\0\1\0octet\0", id="empty-name"),
        pytest.param(b"\0\1", id="nothing"),
        pytest.param(request(b"undionly.kpxe", b"mail"), id="mail"),
        pytest.param(request(b"undionly.kpxe", b"binary"), id="unknown-mode"),
        pytest.param(request(b"undionly.kpxe", b""), id="empty-mode"),
        pytest.param(request(b"undionly.kpxe", b"\xff\xfe"), id="mode-of-junk"),
        pytest.param(b"\0\2new\0octet\0", id="write"),
        *(pytest.param(bytes((0, opcode)) + b"x\0octet\0", id=f"opcode-{opcode}") for opcode in (0, 6, 7, 255)),
        pytest.param(b"\1\1undionly.kpxe\0octet\0", id="opcode-257"),
    ],
)
def test_what_is_no_read_request_gets_error_4(reader: Reader, datagram: bytes):
    reader.send(datagram)

    assert code(reader.take()) == 4


@pytest.mark.parametrize("datagram", [b"", b"\0", b"\1", b"\0\5\0\1x\0", b"\0\5", b"\0\5\0", b"\0\5\0\0"])
def test_an_error_and_a_truncated_packet_are_dropped(reader: Reader, datagram: bytes):
    reader.send(datagram)

    assert code(reader.query(b"nothing-there")) == 1


@pytest.mark.parametrize("mode", [b"octet", b"OCTET", b"OcTeT"])
def test_the_mode_is_known_in_any_case(reader: Reader, mode: bytes):
    assert reader.rest(reader.query(b"even", mode)) == FILES["even"]


def test_netascii_ends_lines_as_the_wire_does_and_has_no_tsize(reader: Reader):
    first = reader.query(b"text", b"NetASCII", b"tsize", b"0", b"blksize", b"1024")

    assert granted(first) == {b"blksize": b"1024"}
    assert reader.ack(0) == b"\0\3\0\1one\r\ntwo\r\0\r\n"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (b"undionly.kpxe", "undionly.kpxe"),
        (b"/undionly.kpxe", "undionly.kpxe"),
        (b"///.//undionly.kpxe", "undionly.kpxe"),
        (b"\\undionly.kpxe", "undionly.kpxe"),
        (b"below\\deeper\\file", "below/deeper/file"),
        (b"below//deeper/./file", "below/deeper/file"),
        (b"UNDIONLY.KPXE", "undionly.kpxe"),
        (b"mixed.case", "Mixed.Case"),
        (b"twin", "twin"),
        (b"TWIN", "TWIN"),
        (b"100%25", "100%25"),
        (b"within", "even"),
    ],
)
def test_a_name_is_read_as_a_machine_means_it(reader: Reader, name: bytes, file: str):
    assert reader.query(name)[:516] == b"\0\3\0\1" + FILES[file][:512]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, 2) for name in (b"../etc/passwd", b"below/../even", b"..\\even", b"below/..", b"..", b"C:\\even")),
        *((name, 2) for name in (b"c:/even", b"ev\nen", b"ev\x1ben", b"\x7f", b"\x01")),
        *((name, 1) for name in (b"nothing", b"below", b"below/", b"/", b".hidden", b"outside", b"Twin", b"100%")),
        *((name, 1) for name in (b"%2e%2e/etc/passwd", b"\xff\xfe", "ü".encode(), b"x" * 480, b"...", b"/etc/passwd")),
    ],
)
def test_a_name_that_names_nothing_of_ours_is_an_error(reader: Reader, name: bytes, expected: int):
    assert code(reader.query(name)) == expected


@pytest.mark.parametrize("name", ["rrq-tail-ff", "rrq-tail-82"])
def test_the_tail_of_an_old_rom_is_forgiven_on_a_name_that_we_offered(wire: Wire, reader: Reader, name: str):
    wire.query(vector("discover-uefi-x64"))

    reader.send(vector(name), (SERVER, 69))

    assert granted(reader.take() or b"") == {b"tsize": b"10310"}


def test_a_tail_on_a_name_that_we_never_offered_is_an_error(wire: Wire, reader: Reader):
    wire.query(vector("discover-uefi-x64"))

    assert code(reader.query(b"pxelinux.0\xff")) == 1
    assert code(reader.query(b"text\xff")) == 1


def test_a_request_by_broadcast_is_dropped(open_rack: Rack, wire: Wire):
    for there in ("255.255.255.255", "192.0.2.255"):
        wire.send(request(b"nothing"), source=(ADDRESS, 3333), to=(there, 69))
    wire.send(request(b"nothing"), source=(ADDRESS, 4444), to=(SERVER, 69))

    frame = wire.receive(lambda frame: frame[UDP].dport in (3333, 4444))

    assert frame is not None
    assert frame[UDP].dport == 4444


# Options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([b"tsize", b"0"], {b"tsize": b"76800"}),
        ([b"TSIZE", b"0", b"BlkSize", b"1428"], {b"tsize": b"76800", b"blksize": b"1428"}),
        ([b"blksize", b"8"], {b"blksize": b"8"}),
        ([b"blksize", b"1468"], {b"blksize": b"1468"}),
        ([b"blksize", b"1469"], {b"blksize": b"1468"}),
        ([b"blksize", b"65464"], {b"blksize": b"1468"}),
        ([b"timeout", b"1"], {b"timeout": b"1"}),
        ([b"timeout", b"255"], {b"timeout": b"255"}),
        ([b"windowsize", b"4"], {b"windowsize": b"4"}),
        ([b"windowsize", b"65535"], {b"windowsize": b"64"}),
        ([b"tsize", b"0", b"blksize", b"1468", b"windowsize", b"4"],
         {b"tsize": b"76800", b"blksize": b"1468", b"windowsize": b"4"}),
        ([b"timeout", b"5", b"tsize", b"0", b"blksize", b"1468"],
         {b"timeout": b"5", b"tsize": b"76800", b"blksize": b"1468"}),
        ([b"multicast", b"", b"tsize", b"0", b"rollover", b"0"], {b"tsize": b"76800"}),
        ([b"blksize", b"7", b"tsize", b"0"], {b"tsize": b"76800"}),
        ([b"blksize", b"abc", b"timeout", b"0", b"windowsize", b"0", b"tsize", b"0"], {b"tsize": b"76800"}),
        ([b"blksize", b"-1", b"timeout", b"256", b"windowsize", b"65536", b"tsize", b"0"], {b"tsize": b"76800"}),
        ([b"blksize", b"", b"", b"", b"tsize", b"0"], {b"tsize": b"76800"}),
        ([b"tsize", b"0", b"blksize"], {b"tsize": b"76800"}),
    ],
)  # fmt: skip
def test_only_requested_options_are_granted(reader: Reader, options: list[bytes], expected: dict[bytes, bytes]):
    assert granted(reader.query(b"undionly.kpxe", b"octet", *options)) == expected


@pytest.mark.parametrize(
    "options", [[], [b"unknown", b"1"], [b"blksize", b"0"], [b"blksize", b"65465"], [b"timeout", b"x"], [b"blksize"]]
)
def test_where_nothing_is_granted_data_comes_at_once(reader: Reader, options: list[bytes]):
    assert reader.query(b"undionly.kpxe", b"octet", *options) == b"\0\3\0\1" + LOADER[:512]


# Transfers


@pytest.mark.parametrize("name", ["undionly.kpxe", "even", "empty", "below/deeper/file"])
def test_a_file_arrives_whole_with_a_short_block_at_its_end(reader: Reader, name: str):
    assert reader.rest(reader.query(name.encode())) == FILES[name]


def test_an_empty_file_is_one_empty_block(reader: Reader):
    assert reader.query(b"empty") == b"\0\3\0\1"


def test_the_oack_of_an_empty_file_says_so(reader: Reader):
    assert granted(reader.query(b"empty", b"octet", b"tsize", b"0")) == {b"tsize": b"0"}
    assert reader.ack(0) == b"\0\3\0\1"


def test_block_numbers_roll_over_to_zero(reader: Reader):
    oack = reader.query(b"long", b"octet", b"blksize", b"8", b"windowsize", b"64")
    assert granted(oack) == {b"blksize": b"8", b"windowsize": b"64"}
    reader.send(b"\0\4\0\0")

    blocks, got = [], 0
    while True:
        data = reader.take()
        assert data is not None
        if int.from_bytes(data[2:4], "big") != (len(blocks) + 1) & 0xFFFF:
            continue  # sent again, because this busy box let the server wait
        blocks.append(int.from_bytes(data[2:4], "big"))
        got += len(data) - 4
        if len(blocks) % 64 == 0 or len(data) < 12:
            reader.send(b"\0\4" + data[2:4])
        if len(data) < 12:
            break

    assert blocks == [number & 0xFFFF for number in range(1, 65_542)]
    assert got == len(FILES["long"])


def test_each_read_has_its_own_port_on_the_address_of_the_request(open_rack: Rack, reader: Reader):
    other = Reader(open_rack)

    reader.query(b"even")
    other.query(b"even")

    assert {reader.server[0], other.server[0]} == {SERVER}
    assert len({reader.server[1], other.server[1], 69}) == 3
    other.rest(b"\0\3\0\1" + FILES["even"][:512])
    other.socket.close()


def test_an_aborted_probe_gets_no_reply_and_the_machine_requests_again(reader: Reader):
    granted(reader.query(b"undionly.kpxe", b"octet", b"tsize", b"0", b"blksize", b"1468"))
    reader.send(b"\0\5\0\x08User aborted the transfer\0")
    assert reader.take(BRIEF_S) is None

    granted(reader.query(b"undionly.kpxe", b"octet", b"blksize", b"1468"))

    assert reader.rest(reader.ack(0) or b"", 1468) == LOADER


def test_a_packet_from_another_machine_gets_error_5_and_the_transfer_goes_on(open_rack: Rack, reader: Reader):
    first = reader.query(b"undionly.kpxe")
    unregistered = Reader(open_rack)

    unregistered.send(b"\0\4\0\1", reader.server)
    refused = unregistered.take()
    unregistered.send(b"\0\5\0\0x\0", reader.server)

    assert code(refused) == 5
    assert unregistered.take(BRIEF_S) is None
    assert reader.rest(first) == LOADER
    unregistered.socket.close()


@pytest.mark.parametrize("options", [[], [b"tsize", b"0"]])
def test_a_repeated_request_gets_the_same_answer_from_the_same_port(reader: Reader, options: list[bytes]):
    first = reader.query(b"undionly.kpxe", b"octet", *options)
    port = reader.server

    again = reader.query(b"undionly.kpxe", b"octet", *options)

    assert (again, reader.server) == (first, port)


def test_a_repeated_ack_doubles_nothing(reader: Reader):
    reader.query(b"undionly.kpxe")
    second = reader.ack(1)
    reader.send(b"\0\4\0\1")
    reader.send(b"\0\4\0\0")

    assert second is not None
    assert reader.take(BRIEF_S) is None
    third = reader.ack(2)
    assert third is not None
    assert third[2:4] == b"\0\3"


def test_an_ack_of_what_was_never_sent_changes_nothing(reader: Reader):
    reader.query(b"undionly.kpxe")
    for number in (2, 9, 0x8000, 0xFFFF):
        reader.send(struct.pack("!HH", 4, number))

    assert reader.take(BRIEF_S) is None
    assert (reader.ack(1) or b"")[2:4] == b"\0\2"


def test_an_ack_inside_a_window_restarts_behind_it_once(reader: Reader):
    granted(reader.query(b"undionly.kpxe", b"octet", b"windowsize", b"4"))
    reader.send(b"\0\4\0\0")
    assert numbers(reader, 4) == [1, 2, 3, 4]

    reader.send(b"\0\4\0\2")
    assert numbers(reader, 4) == [3, 4, 5, 6]
    reader.send(b"\0\4\0\2")
    assert reader.take(BRIEF_S) is None

    reader.send(b"\0\4\0\6")
    assert numbers(reader, 4) == [7, 8, 9, 10]


def numbers(reader: Reader, count: int) -> list[int]:
    return [int.from_bytes((reader.take() or b"\0" * 4)[2:4], "big") for _ in range(count)]


def test_what_is_lost_comes_again_after_a_second(reader: Reader):
    first = reader.query(b"undionly.kpxe")
    began = time.monotonic()

    again = reader.take(3.0)

    assert again == first
    assert 0.7 < time.monotonic() - began < 2.0


def test_nothing_is_sent_after_the_last_ack_or_an_error(open_rack: Rack, reader: Reader):
    reader.rest(reader.query(b"even"))
    other = Reader(open_rack)
    other.query(b"undionly.kpxe")
    other.send(b"\0\5\0\3buffer too small\0")

    assert reader.take(1.2) is None
    assert other.take(0.01) is None
    other.socket.close()


def test_requests_that_nobody_follows_up_are_few_and_keep_no_machine_waiting(open_rack: Rack, wire: Wire):
    """A thousand forged requests from one address: an honest one at another still reads its loader."""
    for port in range(20_000, 21_000):
        wire.send(
            request(b"undionly.kpxe", b"octet", b"blksize", b"1468"), source=("192.0.2.77", port), to=(SERVER, 69)
        )
    honest = Reader(open_rack)

    assert honest.rest(honest.query(b"undionly.kpxe")) == LOADER
    honest.socket.close()


def test_fragments_may_be_made_on_the_way(wire: Wire):
    wire.send(request(b"nothing"), source=(ADDRESS, 5555), to=(SERVER, 69))
    refused = wire.receive(lambda frame: frame[UDP].dport == 5555)
    wire.send(request(b"even", b"octet", b"blksize", b"1024"), source=(ADDRESS, 5556), to=(SERVER, 69))
    read = wire.receive(lambda frame: frame[UDP].dport == 5556)

    assert refused is not None
    assert read is not None
    assert "DF" not in str(read["IP"].flags)
