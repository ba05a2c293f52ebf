"""The bytes and fields of the response to a request for a file."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.content.serving.served_file import IMMUTABLE, ServedFile
from netboot.model.release import ContentKind
from netboot.serve.static_http.conditional import (
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    FileAnswer,
    answer_for,
    byte_range,
    head_of,
    head_of_whole,
    refusal,
)

ETAG = '"64-1-2"'
FILE = ServedFile("/f", 100, ETAG, "application/octet-stream", IMMUTABLE, ContentKind.OSTREE_OBJECT)
ABOUT = (
    ("Content-Type", "application/octet-stream"),
    ("ETag", ETAG),
    ("Cache-Control", "public, max-age=31536000, immutable"),
    ("Accept-Ranges", "bytes"),
)
WHOLE = FileAnswer(HTTPStatus.OK, (*ABOUT, ("Content-Length", "100")), 0, 100)


def part(first: int, last: int) -> FileAnswer:
    length = last - first + 1
    place = (("Content-Range", f"bytes {first}-{last}/100"), ("Content-Length", str(length)))
    return FileAnswer(HTTPStatus.PARTIAL_CONTENT, (*ABOUT, *place), first, length)


NOT_MODIFIED = FileAnswer(
    HTTPStatus.NOT_MODIFIED, (("ETag", ETAG), ("Cache-Control", "public, max-age=31536000, immutable"))
)
UNSATISFIABLE = refusal(
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    "the file has 100 bytes",
    ("Content-Range", "bytes */100"),
    ("ETag", ETAG),
)
PRECONDITION_FAILED = refusal(HTTPStatus.PRECONDITION_FAILED, "the file is another one now; fetch it from its start")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, WHOLE, id="plain"),
        pytest.param({"range": "bytes=0-99"}, part(0, 99), id="a-range-that-is-the-whole-is-still-a-range"),
        pytest.param({"range": "bytes=10-19"}, part(10, 19), id="a-range"),
        pytest.param({"range": "bytes=10-"}, part(10, 99), id="grub-seeks"),
        pytest.param({"range": "bytes=90-1000"}, part(90, 99), id="a-range-beyond-the-end-is-cut"),
        pytest.param({"range": "bytes=-10"}, part(90, 99), id="the-last-bytes"),
        pytest.param({"range": "bytes=-1000"}, part(0, 99), id="more-last-bytes-than-there-are"),
        pytest.param({"range": "Bytes= 10-19 "}, part(10, 19), id="case-and-blanks"),
        pytest.param({"range": "bytes=100-"}, UNSATISFIABLE, id="just-beyond"),
        pytest.param({"range": f"bytes={'9' * 5000}-"}, UNSATISFIABLE, id="far-beyond"),
        pytest.param({"range": f"bytes={'0' * 5000}10-{'0' * 5000}19"}, part(10, 19), id="zeros-before-a-position"),
        pytest.param({"range": "bytes=-0"}, UNSATISFIABLE, id="the-last-nothing"),
        pytest.param({"range": "bytes=0-1,5-6"}, WHOLE, id="several-ranges-give-the-whole"),
        pytest.param({"range": "bytes=19-10"}, WHOLE, id="a-range-backwards-is-ignored"),
        pytest.param({"range": "bytes=-"}, WHOLE, id="an-empty-range-is-ignored"),
        pytest.param({"range": "bytes=a-b"}, WHOLE, id="no-numbers"),
        pytest.param({"range": "bytes=١-٢"}, WHOLE, id="digits-of-another-script"),
        pytest.param({"range": "lines=1-2"}, WHOLE, id="another-unit-is-ignored"),
        pytest.param({"range": "bytes=10-19", "if-range": ETAG}, part(10, 19), id="if-range-holds"),
        pytest.param({"range": "bytes=10-19", "if-range": '"other"'}, WHOLE, id="if-range-of-another-file"),
        pytest.param({"range": "bytes=10-19", "if-range": f"W/{ETAG}"}, WHOLE, id="if-range-wants-a-strong-tag"),
        pytest.param({"range": "bytes=10-", "if-range": "Sat, 21 Nov 2026 01:00:00 GMT"}, WHOLE, id="if-range-date"),
        pytest.param({"if-none-match": ETAG}, NOT_MODIFIED, id="known"),
        pytest.param({"if-none-match": f'"a", W/{ETAG}'}, NOT_MODIFIED, id="known-in-a-list-weakly"),
        pytest.param({"if-none-match": "*"}, NOT_MODIFIED, id="any"),
        pytest.param({"if-none-match": '"other"'}, WHOLE, id="unknown"),
        pytest.param({"if-none-match": ETAG, "range": "bytes=1-2"}, NOT_MODIFIED, id="known-goes-before-range"),
        pytest.param({"if-match": ETAG, "range": "bytes=50-"}, part(50, 99), id="edk2-resumes"),
        pytest.param({"if-match": "*"}, WHOLE, id="if-match-any"),
        pytest.param({"if-match": '"other"', "range": "bytes=50-"}, PRECONDITION_FAILED, id="edk2-resumes-another"),
        pytest.param({"if-match": f"W/{ETAG}"}, PRECONDITION_FAILED, id="if-match-wants-a-strong-tag"),
    ],
)
def test_a_get_earns(fields: dict[str, str], expected: FileAnswer) -> None:
    assert answer_for(FILE, "GET", fields) == expected


def test_a_head_says_the_whole_length_whatever_range_it_names() -> None:
    assert answer_for(FILE, "HEAD", {"range": "bytes=1-2"}) == WHOLE


def test_every_refusal_says_its_length_and_what_is_wrong() -> None:
    for answer in (NOT_FOUND, METHOD_NOT_ALLOWED, UNSATISFIABLE, PRECONDITION_FAILED):
        assert dict(answer.headers)["Content-Length"] == str(len(answer.text))
        assert answer.text.decode().startswith(f"{answer.status.value} {answer.status.phrase}: ")
    assert dict(METHOD_NOT_ALLOWED.headers)["Allow"] == "GET, HEAD"


def test_a_head_is_written_as_grub_wants_it() -> None:
    assert head_of(WHOLE, 1_795_225_800, is_last=True) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Sat, 21 Nov 2026 01:50:00 GMT\r\n"
        b"Server: netboot\r\n"
        b"Content-Type: application/octet-stream\r\n"
        b'ETag: "64-1-2"\r\n'
        b"Cache-Control: public, max-age=31536000, immutable\r\n"
        b"Accept-Ranges: bytes\r\n"
        b"Content-Length: 100\r\n"
        b"Connection: close\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize("is_last", [False, True])
def test_the_short_way_to_the_head_of_a_whole_file_writes_the_same(is_last: bool) -> None:
    short = head_of_whole(FILE, 1_795_225_800, is_last=is_last)

    assert short == head_of(answer_for(FILE, "GET", {}), 1_795_225_800, is_last=is_last)


@given(st.text(), st.integers(0, 10**6))
def test_any_range_field_is_read_or_ignored(field: str, total: int) -> None:
    span = byte_range(field, total)

    assert span is None or len(span) == 0 or (0 <= span.start < span.stop <= total)


@given(st.integers(0, 10**25), st.integers(0, 10**25), st.integers(0, 10**6))
def test_a_range_is_what_a_slice_of_the_file_would_be(first: int, last: int, total: int) -> None:
    body = range(total)

    assert byte_range(f"bytes={first}-{last}", total) == (body[first : last + 1] or range(0) if first <= last else None)
    assert byte_range(f"bytes={first}-", total) == (body[first:] or range(0))
    assert byte_range(f"bytes=-{last}", total) == (body[max(0, total - last) :] or range(0))
