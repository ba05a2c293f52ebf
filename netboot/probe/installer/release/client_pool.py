"""The connections of one pull: each client has one, and a request waits until one is free."""

import asyncio
from collections.abc import Callable
from typing import Final, Self

from netboot.model.install.event import Step
from netboot.probe.file_reader import FileReader
from netboot.probe.http.agents import LIBOSTREE
from netboot.probe.http.http_client import HttpAnswer, HttpClient

CONNECTIONS: Final = 8  # CURLMOPT_MAX_TOTAL_CONNECTIONS in libostree's ostree-fetcher-curl.c


class ClientPool:
    """Up to eight connections to one server, the one that was used last first, as curl takes them."""

    def __init__(self, reader: FileReader) -> None:
        self.is_switched_off = reader.behaviour.aborts_at is Step.OSTREE  # each transfer ends in its middle, for good
        self._clients = [HttpClient(reader, LIBOSTREE) for _ in range(CONNECTIONS)]
        self._free: asyncio.LifoQueue[HttpClient] = asyncio.LifoQueue()
        for client in reversed(self._clients):
            self._free.put_nowait(client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()

    async def get(self, url: str, sink: Callable[[bytes], object]) -> HttpAnswer:
        """Read a URL, whatever its status is; raise BootFailedError if no complete answer comes."""
        client = await self._free.get()
        try:
            return await client.get(url, step=Step.OSTREE, sink=sink, any_status=True)
        except BaseException:
            client.close()  # the rest of the body is still to come
            raise
        finally:
            self._free.put_nowait(client)
