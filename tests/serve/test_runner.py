"""What aiohttp answers without a handler of ours: our text, one count, one recorded refusal, no version."""

import asyncio
import logging
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from fixtures.certificates import server_pair

from netboot.serve.boot_http.runner import quiet_runner
from netboot.serve.static_http.refused import RefusalReason
from netboot.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration

TIMEOUT_S = 20.0


async def failing(_request: web.Request) -> web.Response:
    raise LookupError("a fault of netboot")


def at_runner(
    talk: Callable[[int], Awaitable[None]], *, tls: ssl.SSLContext | None = None
) -> tuple[Metrics, list[tuple[str, RefusalReason]]]:
    """Serve one handler, which fails, on loopback; return what was counted and recorded."""
    counters, refused = Metrics(), list[tuple[str, RefusalReason]]()

    async def run() -> None:
        app = web.Application()
        app.add_routes([web.get("/", failing)])
        runner = quiet_runner(app, counters, drain_s=1.0, refused=lambda *each: refused.append(each))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            await talk(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))
    return counters, refused


async def answer_to(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    return re.sub(rb"Date: [^\r]*", b"Date: *", answer)


def with_head(first_line: str, text: str, *fields: str) -> bytes:
    about = ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(text)}", "Date: *", "Server: netboot"]
    return "\r\n".join([first_line, *about, *fields, "", text]).encode()


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", id="unknown-method"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\r\n\r\n", id="tls"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", id="no-field"),
    ],
)
def test_what_the_parser_refuses_is_answered_in_our_words_counted_and_recorded(request_: bytes) -> None:
    async def talk(port: int) -> None:
        refusal = with_head("HTTP/1.0 400 Bad Request", "400 Bad Request: this is not an HTTP request\n")
        assert await answer_to(port, request_) == refusal

    counters, refused = at_runner(talk)

    assert b"netboot_http_malformed_total 1.0" in counters.exposition()
    assert refused == [("127.0.0.1", RefusalReason.NOT_HTTP)]


def test_a_fault_of_a_handler_is_logged_and_answered_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(port: int) -> None:
        answer = await answer_to(port, b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n")
        text = "500 Internal Server Error: the log of netboot has the reason\n"
        assert answer == with_head("HTTP/1.1 500 Internal Server Error", text, "Connection: close")

    with caplog.at_level(logging.DEBUG):
        counters, refused = at_runner(talk)

    [record] = [each for each in caplog.records if each.name == "netboot.http"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "a fault of netboot"
    assert b"netboot_http_malformed_total 0.0" in counters.exposition()
    assert refused == []


def test_a_client_that_goes_away_leaves_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    with caplog.at_level(logging.DEBUG, logger="netboot"):
        at_runner(talk)

    assert [record for record in caplog.records if record.name == "netboot.http"] == []


def test_a_client_that_closes_tls_after_its_request_leaves_no_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = server_pair(tmp_path, "127.0.0.1")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate, key)

    async def talk(port: int) -> None:
        trusting = ssl.create_default_context(cafile=str(certificate))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        writer.write(b"GET /absent HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""

    with caplog.at_level(logging.DEBUG):
        at_runner(talk, tls=served)

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
