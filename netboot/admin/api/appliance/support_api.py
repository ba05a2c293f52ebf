"""The route of support archives: one is made and sent as a file."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from netboot.admin.api.operation import operation
from netboot.admin.api.request_models import RequestModel, read_query
from netboot.admin.api.sent_file import send_piece
from netboot.errors import StoreError, UnknownHostError
from netboot.operate.support.support_archive import SupportArchive

ARCHIVES_AT_ONCE: Final = 4  # each is a file of up to 64 MiB until its client has it
_PIECE_BYTES: Final = 256 * 1024


class SupportQuery(RequestModel):
    host: Annotated[str, Field(description="a host, or the MAC of an unregistered machine")] = ""


class SupportApi:
    def __init__(self, make: Callable[[str | None], Awaitable[SupportArchive]]) -> None:
        self._make = make
        self._sent = 0  # archives that are made or sent now

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/support", self.archive, allow_head=False)]

    @operation(
        bytes, media_type="application/gzip", query=SupportQuery, errors=[UnknownHostError, StoreError], statuses=[503]
    )
    async def archive(self, request: web.Request) -> web.StreamResponse:
        """Send an archive of `host`, a host or the MAC of an unregistered machine; without it of the appliance."""
        host = read_query(request, SupportQuery).host or None
        if self._sent >= ARCHIVES_AT_ONCE:
            text = f"{ARCHIVES_AT_ONCE} archives are made or sent now; try again when one of them has ended"
            raise web.HTTPServiceUnavailable(text=text, headers={"Retry-After": "10"})
        self._sent += 1
        try:
            return await self._send(request, await self._make(host))
        finally:
            self._sent -= 1

    @staticmethod
    async def _send(request: web.Request, made: SupportArchive) -> web.StreamResponse:
        with made.file as file:
            headers = {
                "Content-Type": "application/gzip",
                "Content-Length": str(made.size_bytes),
                "Content-Disposition": f'attachment; filename="{made.name}"',
                "Cache-Control": "no-store",
            }
            answer = web.StreamResponse(headers=headers)
            await answer.prepare(request)
            while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
                await send_piece(request, answer, piece)
            return answer
