"""A long report keeps its first line, which is the reason, and its end, where the log stops."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from netboot.serve.boot_http.document_handler import KEPT_OF_BEGINNING_BYTES, KEPT_OF_END_BYTES, read_report

TOKEN = b"0123456789abcdef" * 2


def read(body: bytes, *, chunk_bytes: int = 1 << 16) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), chunk_bytes):
            yield body[begin : begin + chunk_bytes]

    return asyncio.run(read_report(chunks()))


def test_a_short_report_is_kept_whole():
    assert read(b"") == ""
    assert read("no disk\nüber\n".encode()) == "no disk\nüber\n"
    whole = b"x" * (KEPT_OF_BEGINNING_BYTES + KEPT_OF_END_BYTES)
    assert read(whole) == whole.decode()


@pytest.mark.parametrize("chunk_bytes", [1000, 1 << 16, 1 << 24])
def test_a_long_report_keeps_its_beginning_and_its_end(chunk_bytes: int):
    body = b"the reason\n" + b"line of a log\n" * 200_000 + b"the last line\n"

    text = read(body, chunk_bytes=chunk_bytes)

    assert text.startswith("the reason\nline of a log\n")
    assert text.endswith("line of a log\nthe last line\n")
    left_out = len(body) - KEPT_OF_BEGINNING_BYTES - KEPT_OF_END_BYTES
    assert f"\n[{left_out} bytes of this report are left out here]\n" in text


@pytest.mark.parametrize("cut", range(1, 32))
def test_a_token_that_a_cut_divides_is_left_out(cut: int):
    beginning = b" " * (KEPT_OF_BEGINNING_BYTES - cut) + TOKEN
    end = TOKEN + b" " * (KEPT_OF_END_BYTES - cut)

    text = read(beginning + b"-" * 100_000 + end)

    assert not set(text) & set("0123456789abcdef") - set(text[text.index("[") : text.index("]")])
    assert text.count(" ") == KEPT_OF_BEGINNING_BYTES + KEPT_OF_END_BYTES - 2 * cut + 8
