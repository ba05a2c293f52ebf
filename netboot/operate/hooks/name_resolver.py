"""Resolves the names of web servers in threads of its own.

A name server that does not answer occupies a thread for up to a minute. asyncio's own threads are few, and the daemon
serves machines with them; those of this module do not delay its end either.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

MOST_THREADS: Final = 8

_Addresses = Sequence[tuple[int, int, str]]  # family, protocol, address


class NameResolver(AbstractResolver):
    """getaddrinfo(3), in at most `MOST_THREADS` threads; a request beyond them fails at once."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(MOST_THREADS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if not self._free.acquire(blocking=False):
            raise OSError(None, "the name server does not answer")
        found: asyncio.Future[_Addresses] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._resolve, args=(host, port, family, found), daemon=True).start()
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for family, protocol, address in await found
        ]

    async def close(self) -> None:
        """Leave the threads that wait for a name server; they end by themselves."""

    def _resolve(self, host: str, port: int, family: socket.AddressFamily, found: "asyncio.Future[_Addresses]") -> None:
        try:
            infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
            finish = partial(_finish, found, [(info[0], info[2], str(info[4][0])) for info in infos])
        except (OSError, UnicodeError) as error:
            finish = partial(_finish, found, OSError(None, getattr(error, "strerror", None) or "it is no name"))
        finally:
            self._free.release()
        with suppress(RuntimeError):  # the daemon's loop has ended
            found.get_loop().call_soon_threadsafe(finish)


def _finish(found: "asyncio.Future[_Addresses]", result: _Addresses | OSError) -> None:
    if found.done():  # the attempt has ended
        return
    if isinstance(result, OSError):
        found.set_exception(result)
    else:
        found.set_result(result)
