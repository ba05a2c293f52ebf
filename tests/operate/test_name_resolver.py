"""A name server that does not answer delays nothing but the requests that need it; getaddrinfo(3) is replaced by it."""

import asyncio
import socket
import threading
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from netboot.operate.hooks import name_resolver
from netboot.operate.hooks.name_resolver import NameResolver


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The name server answers once this is set."""
    event = threading.Event()

    def wait(*_arguments: Any) -> list[Any]:
        event.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    return event


def test_a_request_that_is_given_up_leaves_its_thread_which_ends_by_itself(answered: threading.Event):
    async def scenario() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await NameResolver().resolve("receiver.example.org", 443)
        answered.set()
        await asyncio.sleep(0.1)
        return time.monotonic()

    with capture_logs() as lines:
        asyncio.run(scenario())

    assert lines == []


def test_a_thread_that_ends_after_the_loop_disturbs_nobody(answered: threading.Event):
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await NameResolver().resolve("receiver.example.org", 443)

    before_s = time.monotonic()
    asyncio.run(scenario())
    assert time.monotonic() - before_s < 5  # asyncio's own threads would have been waited for
    answered.set()


def test_beyond_the_number_of_threads_a_request_fails_at_once(
    answered: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(name_resolver, "MOST_THREADS", 2)

    async def scenario() -> list[Any]:
        resolver = NameResolver()
        first = [asyncio.create_task(resolver.resolve("receiver.example.org", 443)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(OSError, match="the name server does not answer"):
            await resolver.resolve("receiver.example.org", 443)
        answered.set()
        found = [(await task)[0]["host"] for task in first]
        return [*found, (await resolver.resolve("receiver.example.org", 443))[0]["host"]]

    assert asyncio.run(scenario()) == ["192.0.2.7"] * 3
