"""Sends a file in pieces, and ends the connection of a client that does not read it."""

import asyncio

from aiohttp import web

from netboot.admin.api.event_stream import STALLED_S


async def send_piece(request: web.Request, answer: web.StreamResponse, piece: bytes) -> None:
    """Send the next piece; raise ConnectionResetError for a client that reads nothing for `STALLED_S`."""
    if not piece:
        return
    try:
        async with asyncio.timeout(STALLED_S):
            await answer.write(piece)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client does not read") from None
