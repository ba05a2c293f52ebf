"""Whether a listener answers is found by a request through the kernel, whatever the answer is."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.certificates import server_pair

from netboot.app.running.round_trip import Endpoint, is_answered

SOON_S = 0.3


async def serving(
    handle: object, *, tls: ssl.SSLContext | None = None, path: Path | None = None
) -> tuple[asyncio.Server, Endpoint]:
    if path is not None:
        return await asyncio.start_unix_server(handle, str(path)), Endpoint(path)
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    return server, Endpoint("127.0.0.1", server.sockets[0].getsockname()[1], has_tls=tls is not None)


async def answers_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"nonsense\r\n")
    writer.close()


async def closes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def result(handle: object, **options: object) -> bool:
    async def scenario() -> bool:
        server, endpoint = await serving(handle, **options)
        async with server:
            answered = await is_answered(endpoint, within_s=SOON_S)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
        await asyncio.sleep(0)
        return answered

    return asyncio.run(scenario())


@pytest.mark.parametrize(("handle", "expected"), [(answers_nonsense, True), (closes, True), (says_nothing, False)])
def test_any_answer_and_a_closed_connection_show_that_the_loop_runs(handle: object, expected: bool):
    assert result(handle) is expected


def test_a_unix_socket_and_tls_are_answered_too(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "another.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    assert result(answers_nonsense, path=tmp_path / "socket")
    assert result(answers_nonsense, tls=context)


def test_a_port_that_is_closed_and_one_that_accepts_nothing_are_not_answered(tmp_path: Path):
    async def scenario(endpoint: Endpoint) -> bool:
        return await is_answered(endpoint, within_s=SOON_S)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1])
        assert not asyncio.run(scenario(endpoint))
    assert not asyncio.run(scenario(endpoint))
    assert not asyncio.run(scenario(Endpoint(tmp_path / "none")))


@pytest.fixture
def no_descriptor() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_this_end_cannot_find_out_counts_as_an_answer(no_descriptor):
    async def scenario() -> bool:
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        try:
            while True:
                taken.append(socket.socket())
        except OSError:
            pass  # every descriptor is taken
        try:
            return await is_answered(Endpoint("127.0.0.1", 9), within_s=SOON_S)
        finally:
            for each in taken:
                each.close()

    assert asyncio.run(scenario())


def test_an_address_that_is_not_of_this_computer_any_more_counts_as_an_answer():
    assert asyncio.run(is_answered(Endpoint("198.51.100.77", 8080), within_s=SOON_S))


def test_an_endpoint_is_shown_as_it_is_written():
    endpoints = [Endpoint("fd00::1", 8470), Endpoint("192.0.2.1", 8080), Endpoint(Path("/run/a"))]

    assert [*map(str, endpoints)] == ["[fd00::1]:8470", "192.0.2.1:8080", "/run/a"]
