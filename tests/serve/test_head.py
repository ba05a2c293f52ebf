"""A request's head is a static request, a request for aiohttp, or not HTTP."""

import time
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.serve.static_http.head import LONGEST_HEAD_BYTES, Judgement, StaticRequest, read_head
from netboot.serve.static_http.refused import ANSWERS, LONGEST_BODY_BYTES, RefusalReason

GET = b"GET /content/ol8/vmlinuz HTTP/1.1\r\n"
HOST = b"Host: 192.0.2.1:8080\r\n"


def test_a_content_request_is_understood() -> None:
    head = GET + HOST + b"User-Agent: iPXE/1.21\r\nRANGE:bytes=1-2 \r\nConnection: keep-alive\r\n\r\n"

    assert read_head(head + b"GET /next") == StaticRequest(
        "GET",
        "/content/ol8/vmlinuz",
        {"host": "192.0.2.1:8080", "user-agent": "iPXE/1.21", "range": "bytes=1-2", "connection": "keep-alive"},
        len(head),
    )


def test_libostrees_wish_for_http2_changes_nothing() -> None:
    head = (
        b"GET /ostree/ock/config HTTP/1.1\r\n" + HOST + b"User-Agent: libostree/2022.7 libcurl/7.88\r\n"
        b"Accept: */*\r\nAccept-Encoding: gzip\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    )

    request = read_head(head)

    assert isinstance(request, StaticRequest)
    assert not request.is_last


@pytest.mark.parametrize("value", [b"close", b"Close", b"keep-alive, close"])
def test_the_last_request_of_a_connection_is_recognised(value: bytes) -> None:
    request = read_head(GET + HOST + b"Connection: " + value + b"\r\n\r\n")

    assert isinstance(request, StaticRequest)
    assert request.is_last


@pytest.mark.parametrize(
    "head",
    [
        b"GET /boot/52:54:00:aa:bb:01.ipxe HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST /report/x/done HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n12345",
        b"GET http://192.0.2.1/healthz HTTP/1.1\r\n" + HOST + b"\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /contents HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /boot/ HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /boot//x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /boot/x?a/b HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_a_request_that_is_below_no_static_tree_is_for_a_document(head: bytes) -> None:
    assert read_head(head) is Judgement.DOCUMENT


@pytest.mark.parametrize(
    "path",
    [
        "/content/ol8/vmlinuz",
        "/ostree/ock/config",
        "/bootfiles/shimx64.efi",
        "/bootfiles/",
        "/boot/52-54-00-aa-bb-01/EFI/BOOT/grub.cfg",
        "/boot/52%3A54:00:aa:bb:01/x?y",
    ],
)
def test_each_static_tree_is_recognised_in_every_form_of_a_request(path: str) -> None:
    def judged(method: str, target: str, version: str, fields: str) -> StaticRequest | Judgement | RefusalReason:
        return read_head(f"{method} {target} HTTP/{version}\r\n{fields}\r\n".encode())

    host = {"host": "x"}
    absolute = judged("GET", f"http://x:8080{path}", "1.1", "Host: x\r\n")

    assert judged("HEAD", path, "1.1", "Host: x\r\n") == StaticRequest("HEAD", path, host, 23 + 4 + len(path))
    assert absolute == StaticRequest("GET", path, host, 22 + 13 + 4 + len(path))
    assert judged("GET", path, "1.0", "") == StaticRequest("GET", path, {}, 17 + len(path), must_close=True)
    assert judged("PUT", path, "1.1", "Host: x\r\n") == StaticRequest("PUT", path, host, 26 + len(path))


@pytest.mark.parametrize(
    ("fields", "has_body"),
    [
        (b"", False),
        (b"Content-Length: 0\r\n", False),
        (b"Content-Length: 1\r\n", True),
        (b"Transfer-Encoding: chunked\r\n", True),
        (b"Expect: 100-continue\r\nContent-Length: 1\r\n", True),
    ],
)
def test_a_request_with_a_body_is_the_last_of_its_connection(fields: bytes, has_body: bool) -> None:
    request = read_head(GET + HOST + fields + b"\r\n")

    assert isinstance(request, StaticRequest)
    assert (request.must_close, request.is_last) == (has_body, has_body)


def test_a_request_of_http_1_0_is_the_last_of_its_connection() -> None:
    request = read_head(b"GET /content/ol8/vmlinuz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

    assert isinstance(request, StaticRequest)
    assert (request.must_close, request.is_last) == (True, True)


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET /content/x\r\n\r\n",
        b"GET  /content/x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /content/a b HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /content/\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
        GET + HOST + b" folded\r\n\r\n",
        GET + HOST + b"no colon\r\n\r\n",
        GET + HOST + b"Space : before\r\n\r\n",
        GET + HOST + b"Nul: \x00\r\n\r\n",
        GET + HOST + b"Bare: \r return\r\n\r\n",
        GET + HOST + b"Bare: \n feed\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(head: bytes) -> None:
    assert refused(head) == (RefusalReason.NOT_HTTP, HTTPStatus.BAD_REQUEST)


@pytest.mark.parametrize("begun", [b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"])
def test_a_tls_handshake_is_refused_by_name(begun: bytes) -> None:
    assert refused(begun) == (RefusalReason.TLS, HTTPStatus.BAD_REQUEST)


def refused(head: bytes) -> tuple[RefusalReason, HTTPStatus] | None:
    found = read_head(head)
    return (found, ANSWERS[found][0]) if isinstance(found, RefusalReason) else None


REPORT = b"POST /report/aaaa/done HTTP/1.1\r\n"
R = RefusalReason


@pytest.mark.parametrize(
    ("head", "reason", "status"),
    [
        (GET + HOST + b"X: " + b"x" * LONGEST_HEAD_BYTES, R.HEAD_TOO_LARGE, 400),
        (REPORT + HOST + b"X: " + b"x" * 9000 + b"\r\n\r\n", R.HEAD_TOO_LARGE, 400),
        (REPORT + HOST + b"a: b\r\n" * 200 + b"\r\n", R.HEAD_TOO_LARGE, 400),
        (b"GET /content/x HTTP/2.0\r\n" + HOST + b"\r\n", R.HTTP_VERSION, 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", R.HTTP_VERSION, 505),
        (GET + b"\r\n", R.HOST, 400),
        (GET + HOST + HOST + b"\r\n", R.HOST, 400),
        (GET + b"Host: \r\n\r\n", R.HOST, 400),
        (GET + b"Host: a b\r\n\r\n", R.HOST, 400),
        (GET + b"Host: user@x\r\n\r\n", R.HOST, 400),
        (GET + b"Host: x/y\r\n\r\n", R.HOST, 400),
        (GET + b"Host: x:port\r\n\r\n", R.HOST, 400),
        (GET + b"Host: x:65536\r\n\r\n", R.HOST, 400),
        (GET + b"Host: [::1\r\n\r\n", R.HOST, 400),
        (GET + b"Host: <x>\r\n\r\n", R.HOST, 400),
        (GET + b"Host: x\xc3\xa9\r\n\r\n", R.HOST, 400),
        (b"GET /healthz HTTP/1.0\r\nHost: a, b\r\n\r\n", R.HOST, 400),
        (GET + HOST + b"Content-Length: -1\r\n\r\n", R.BODY_LENGTH, 400),
        (GET + HOST + b"Content-Length: +1\r\n\r\n", R.BODY_LENGTH, 400),
        (GET + HOST + b"Content-Length: 0x10\r\n\r\n", R.BODY_LENGTH, 400),
        (GET + HOST + b"Content-Length: 1_0\r\n\r\n", R.BODY_LENGTH, 400),
        (GET + HOST + b"Content-Length: \r\n\r\n", R.BODY_LENGTH, 400),
        (GET + HOST + b"Content-Length: 1, 2\r\n\r\n", R.BODY_LENGTH, 400),
        (REPORT + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", R.BODY_LENGTH, 400),
        (REPORT + HOST + b"Content-Length: %d\r\n\r\n" % 2**63, R.BODY_LENGTH, 400),
        (REPORT + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", R.BODY_LENGTH, 400),
        (GET + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", R.BODY_LENGTH, 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", R.BODY_LENGTH, 400),
        (REPORT + HOST + b"Transfer-Encoding: identity\r\n\r\n", R.BODY_LENGTH, 400),
        (REPORT + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", R.BODY_LENGTH, 400),
        (REPORT + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", R.TRANSFER_CODING, 501),
        (REPORT + HOST + b"Content-Length: %d\r\n\r\n" % (LONGEST_BODY_BYTES + 1), R.BODY_TOO_LARGE, 413),
        (
            REPORT + HOST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (LONGEST_BODY_BYTES + 1),
            R.BODY_TOO_LARGE,
            413,
        ),
        (GET + HOST + b"Content-Length: 99999999\r\n\r\n", R.BODY_TOO_LARGE, 413),
        (b"POST / HTTP/1.0\r\nContent-Length: 99999999\r\n\r\n", R.BODY_TOO_LARGE, 413),
        (REPORT + HOST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", R.EXPECT, 417),
    ],
)
def test_what_a_head_states_and_no_handler_may_get_is_refused(head: bytes, reason: RefusalReason, status: int) -> None:
    assert refused(head) == (reason, status)


@pytest.mark.parametrize(
    "begun",
    [
        b"\r",
        b"\n",
        b"\x00",
        b"GET\n",
        b"GET / HTTP/1.1\n",
        b"GET  ",
        b"GET /a b",
        b"G\xc3",
        b"x" * 33,
        b"hello\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        GET + HOST[:-2] + b"\n",
        GET + b" Host: x",
        GET + b"no colon\r\n",
        GET + HOST + b"a b:",
        GET + HOST + b"a: \x00",
    ],
)
def test_bytes_that_cannot_become_http_are_refused_before_the_head_ends(begun: bytes) -> None:
    assert refused(begun) == (RefusalReason.NOT_HTTP, HTTPStatus.BAD_REQUEST)


@pytest.mark.parametrize(
    "host", [b"x", b"x:", b"x:80", b"192.0.2.1:8080", b"[2001:db8::1]:8080", b"a_b.example", b"%20"]
)
def test_a_valid_host_is_served(host: bytes) -> None:
    assert isinstance(read_head(GET + b"Host: " + host + b"\r\n\r\n"), StaticRequest)


@given(st.integers(0, len(GET + HOST) + 1))
def test_a_head_that_has_not_ended_is_waited_for(length: int) -> None:
    assert read_head((GET + HOST + b"\r\n")[:length]) is Judgement.INCOMPLETE


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(lambda tail: GET + HOST + tail + b"\r\n\r\n")))
def test_any_bytes_are_judged(data: bytes) -> None:
    judged = read_head(data)

    if isinstance(judged, StaticRequest):
        assert data[: judged.length].endswith(b"\r\n\r\n")
        assert judged.method in ("GET", "HEAD")


def test_a_hostile_head_costs_no_more_than_a_plain_one() -> None:
    head = GET + HOST + b"a:" * 7000 + b"\x00\r\n\r\n"

    began = time.process_time()
    for _ in range(100):
        assert isinstance(read_head(head), RefusalReason)

    assert time.process_time() - began < 1.0


def test_a_field_of_nothing_but_blanks_costs_no_more_than_its_length() -> None:
    head = GET + HOST + b"User-Agent: a" + b" " * 16_000 + b"b\r\n\r\n"

    began = time.process_time()
    for _ in range(20):
        assert isinstance(read_head(head), StaticRequest)

    assert time.process_time() - began < 0.5
