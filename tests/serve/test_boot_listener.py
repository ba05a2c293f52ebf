"""The listeners of the boot LAN's HTTP on loopback: opened, closed and retried as addresses come and go."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from fixtures.content_listener import Recorder
from fixtures.listeners import default_shares

from netboot.content.serving.index import ContentIndex
from netboot.serve.boot_http.boot_listener import BootHttpListener
from netboot.serve.static_http.static_files import StaticFiles

pytestmark = pytest.mark.integration

TIMEOUT_S = 20.0
HERE, ALSO_HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2", "192.0.2.99"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind((HERE, 0))
        found: int = free.getsockname()[1]
    return found


def with_listener(directory: Path, port: int, talk: Callable[[BootHttpListener], Awaitable[None]]) -> None:
    async def run() -> None:
        recorder = Recorder()
        index, shares = ContentIndex(directory), default_shares()
        files = StaticFiles(index, recorder, counters=recorder, shares=shares, advertised={})
        listener = BootHttpListener(web.Application(), files=files, port=port, drain_s=1.0)
        await listener.open()
        try:
            await talk(listener)
        finally:
            await listener.close()

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))


async def status_at(address: str, port: int) -> int | None:
    """Return the status of a request there; None if nobody listens."""
    try:
        async with ClientSession() as session, session.get(f"http://{address}:{port}/") as answer:
            return answer.status
    except OSError:
        return None


def test_it_listens_on_the_addresses_of_the_last_call_only(tmp_path: Path, port: int) -> None:
    async def talk(listener: BootHttpListener) -> None:
        async def served() -> list[int | None]:
            return [await status_at(address, port) for address in (HERE, ALSO_HERE)]

        await listener.listen([HERE])
        assert await served() == [404, None]
        await listener.listen([HERE, ALSO_HERE])
        assert await served() == [404, 404]
        await listener.listen([ALSO_HERE])
        assert await served() == [None, 404]
        assert listener.problems == []

    with_listener(tmp_path, port, talk)


def test_an_address_that_no_interface_has_is_a_problem_until_it_is_no_longer_wanted(tmp_path: Path, port: int) -> None:
    async def talk(listener: BootHttpListener) -> None:
        await listener.listen([HERE, ELSEWHERE])
        assert listener.problems == [
            f"cannot listen on {ELSEWHERE}, TCP port {port}: no interface has this address; "
            "give it to one, or correct http.listen"
        ]
        assert await status_at(HERE, port) == 404
        await listener.listen([HERE])
        assert listener.problems == []

    with_listener(tmp_path, port, talk)


def test_a_port_that_another_program_has_is_a_problem_until_that_program_ends(tmp_path: Path, port: int) -> None:
    async def talk(listener: BootHttpListener) -> None:
        with socket.socket() as other:
            other.bind((HERE, port))
            other.listen()
            await listener.listen([HERE])
            assert listener.problems == [
                f"cannot listen on {HERE}, TCP port {port}: another program has it; "
                "stop that program (ss -ltnp names it), or change http.port"
            ]
        await listener.listen([HERE])
        assert listener.problems == []
        assert await status_at(HERE, port) == 404

    with_listener(tmp_path, port, talk)


def test_another_fault_is_a_problem_with_the_words_of_the_system(tmp_path: Path, port: int) -> None:
    async def talk(listener: BootHttpListener) -> None:
        await listener.listen(["2001:db8::1%nowhere"])
        [problem] = listener.problems
        assert problem.startswith(f"cannot listen on 2001:db8::1%nowhere, TCP port {port}: ")
        assert problem.endswith("; see http.listen and http.port")

    with_listener(tmp_path, port, talk)
