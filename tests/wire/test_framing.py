"""A TCP stream of syslog messages, whole and in any pieces."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.wire.syslog.framing import MessageStream
from netboot.wire.syslog.syslog_message import LONGEST_MESSAGE_BYTES

LONG = b"<6>" + b"x" * LONGEST_MESSAGE_BYTES


def read(*pieces: bytes) -> list[bytes]:
    stream = MessageStream()
    return [*(message for piece in pieces for message in stream.feed(piece)), *stream.end()]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"<6>a\n<6>b\n", [b"<6>a", b"<6>b"]),
        (b"5 <6>ab4 <6>c", [b"<6>ab", b"<6>c"]),
        (b"5 <6>a\n<6>b\n", [b"<6>a\n", b"<6>b"]),
        (b"<6>a\0<6>b\0", [b"<6>a", b"<6>b"]),
        (b"\n\n<6>a", [b"<6>a"]),
        (b"12 o'clock\n<6>a\n", [b"12 o'clock", b"<6>a"]),
        (b"9999999 <6>a", [b"<6>a"]),
        (b"123", [b"123"]),
        (b"", []),
        (LONG + b"yyy\n<6>b\n", [LONG[:LONGEST_MESSAGE_BYTES], b"<6>b"]),
        (LONG, [LONG[:LONGEST_MESSAGE_BYTES]]),
        (b"%d %s<6>b\n" % (len(LONG), LONG), [LONG[:LONGEST_MESSAGE_BYTES], b"<6>b"]),
        (b"20000 " + LONG, [LONG[:LONGEST_MESSAGE_BYTES]]),
    ],
)
def test_messages_end_by_their_length_or_at_a_line_feed_in_any_pieces(sent: bytes, expected: list[bytes]):
    assert read(sent) == expected
    assert read(*(sent[start : start + 1] for start in range(len(sent)))) == expected
    assert read(sent[: len(sent) // 2], sent[len(sent) // 2 :]) == expected


def test_a_line_without_an_end_is_held_in_bounded_memory():
    stream = MessageStream()

    messages = [message for _ in range(100) for message in stream.feed(b"x" * 10_000)]

    assert messages == [b"x" * LONGEST_MESSAGE_BYTES]
    assert stream.feed(b"\n<6>a\n") == [b"<6>a"]


def test_a_run_of_empty_messages_costs_no_more_than_its_bytes():
    stream = MessageStream()
    sent = [b"\n\0" * 2048] * 1024
    began_s = time.process_time()

    messages = [message for piece in sent for message in stream.feed(piece)]

    assert (messages, stream.feed(b"<6>a\n")) == ([], [b"<6>a"])
    assert time.process_time() - began_s < 1.0  # on a slow computer; 0.02 s here, and one by one 3 s


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20))
def test_the_pieces_do_not_matter(sent: bytes, sizes: list[int]):
    pieces, rest = [], sent
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]

    assert read(*pieces, rest) == read(sent)
