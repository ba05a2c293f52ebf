"""Answers a few requests of each requester at once, so that a program that sends many delays no machine that boots.

What a page or a list of all hosts takes on the loop is added up for all requests that are answered at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from netboot.admin.access.requester import channel_of
from netboot.model.access.access_rule import Channel, Need, RefusedCredential
from netboot.model.access.accounts import ApiToken, LoginSession

AT_ONCE: Final = 4  # of a requester
LONGEST_S: Final = 1.0  # then another may begin: this one waits for something else

Found = LoginSession | ApiToken | RefusedCredential | None

_READING: Final = frozenset({Need.OPEN, Need.READ})
_END: Final = web.RequestKey("end_of_turn", object)


@dataclass(slots=True)
class _Turns:
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    requests: int = 0  # that have a turn, wait for one, or have had one


class ReadingTurns:
    def __init__(self) -> None:
        self._turns: dict[tuple[Need, str], _Turns] = {}

    @asynccontextmanager
    async def of(self, request: web.Request, need: Need, found: Found) -> AsyncIterator[None]:
        """Wait for a turn of a request that changes nothing. It ends when the answer begins: a stream has none."""
        if need not in _READING or channel_of(request) is Channel.CONTROL_SOCKET:
            yield
            return
        requester = found.sha256 if isinstance(found, LoginSession | ApiToken) else request.remote or ""
        key = need, requester  # what is open, as the health, waits for no page
        turns = self._turns.setdefault(key, _Turns())
        turns.requests += 1
        try:
            await turns.free.acquire()
            end = _once(turns.free.release)
            timer = asyncio.get_running_loop().call_later(LONGEST_S, end)
            request[_END] = end
            try:
                yield
            finally:
                timer.cancel()
                end()
        finally:
            turns.requests -= 1
            if not turns.requests:
                self._turns.pop(key, None)


async def end_turn(request: web.BaseRequest, _answer: web.StreamResponse) -> None:
    """End the turn of a request whose answer begins; a signal of the application."""
    with suppress(KeyError):
        end = request[_END]
        assert callable(end)
        end()


def _once(call: Callable[[], None]) -> Callable[[], None]:
    calls = [call]
    return lambda: calls.pop()() if calls else None
