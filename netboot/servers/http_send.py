"""A served file through aiohttp: one write for a small file with its head, the kernel's sendfile for a large one.

Shared by `/content/`, `/ostree/` and `/bootfiles/`. Whatever may wait for a disk runs in a thread. aiohttp's own
FileResponse is not used: it ignores If-Range, serves `.gz` siblings, and needs a thread and a stat for each request.
"""

import asyncio
import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from netboot.content.bodies import SMALL_BODY_BYTES, Bodies, open_file
from netboot.content.served import ServedFile
from netboot.servers.http_files import SERVER, FileAnswer, answer_for, method_not_allowed, not_found

SLICE_BYTES: Final = 8 * 1024 * 1024
SLICE_TIMEOUT_S: Final = 120.0  # a reader slower than 70 kB/s is gone or hung; the slot is worth more
_FIRST_PIECE_BYTES: Final = 64 * 1024  # leaves with the head


@dataclass(frozen=True, slots=True)
class Sent:
    """What happened to one request: the response for aiohttp, the answer in it, and how much of a body left."""

    response: web.StreamResponse
    answer: FileAnswer
    bytes_sent: int


async def send_file(request: web.Request, file: ServedFile | None, *, bodies: Bodies) -> Sent:
    """Answer a request with a file, or with the refusal that it earns; None is a file that is not there.

    Raises FileChangedError, before anything was sent, where the disk no longer has what `file` says.
    """
    if request.method not in ("GET", "HEAD"):
        return _refused(method_not_allowed())
    if file is None:
        return _refused(not_found())
    answer = answer_for(file, request.method, request.headers.get)
    if answer.text:
        return _refused(answer)
    if request.method == "HEAD" or answer.status is HTTPStatus.NOT_MODIFIED:
        return Sent(web.Response(status=answer.status, headers=_headers(answer)), answer, 0)
    if file.size_bytes <= SMALL_BODY_BYTES or file.body is not None:
        body = bodies.read_now(file)
        if body is None:
            body = await asyncio.to_thread(bodies.read_later, file)
        piece = body[answer.start : answer.start + answer.length]
        return Sent(web.Response(status=answer.status, headers=_headers(answer), body=piece), answer, len(piece))
    return await _send_large(request, file, answer)


def _headers(answer: FileAnswer) -> dict[str, str]:
    return {**dict(answer.headers), "Server": SERVER}


def _refused(answer: FileAnswer) -> Sent:
    return Sent(web.Response(status=answer.status, headers=_headers(answer), body=answer.text), answer, 0)


async def _send_large(request: web.Request, file: ServedFile, answer: FileAnswer) -> Sent:
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    descriptor = await asyncio.to_thread(open_file, file)
    sent = 0
    with os.fdopen(descriptor, "rb", buffering=0) as opened:
        first = await asyncio.to_thread(os.pread, descriptor, min(answer.length, _FIRST_PIECE_BYTES), answer.start)
        await response.prepare(request)
        try:
            async with asyncio.timeout(SLICE_TIMEOUT_S):
                await response.write(first)
            sent = len(first)
            while sent < answer.length and (transport := request.transport) is not None:
                count = min(SLICE_BYTES, answer.length - sent)
                async with asyncio.timeout(SLICE_TIMEOUT_S):
                    moved = await asyncio.get_running_loop().sendfile(transport, opened, answer.start + sent, count)
                sent += moved
                if moved < count:
                    break  # the file shrank under us
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            _let_go(request)
            if isinstance(error, asyncio.CancelledError):
                raise
            return Sent(response, answer, sent)
        if sent < answer.length:  # the promised length cannot be kept; the reader must see that
            _let_go(request)
        else:
            await response.write_eof()
    return Sent(response, answer, sent)


def _let_go(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
