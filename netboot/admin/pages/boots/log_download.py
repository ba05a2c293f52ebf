"""Sends the log of a boot as a text file, one line for each line of the log."""

from collections.abc import Iterable
from contextlib import aclosing
from typing import Final

from aiohttp import web

from netboot.admin.api.boots.boot_requests import CaptureQuery
from netboot.admin.api.request_models import read_query
from netboot.admin.api.sent_file import send_piece
from netboot.boot_records.shown_logs import BootLogs
from netboot.model.boot.log_line import LogLine
from netboot.model.words import printable

_AT_ONCE: Final = 500  # lines


async def send_log(request: web.Request, logs: BootLogs, name: str) -> web.StreamResponse:
    """Send the log of `boot` among those with a log; raise UnknownHostError, NoLogError."""
    found = await logs.find(name, boot=int(read_query(request, CaptureQuery).boot))
    began = f"{found.boot.began_at:%Y%m%dT%H%M%SZ}" if found.boot is not None else "log"
    file = f"{str(found.owner).replace(':', '-')}-{began}.log"
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{file}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    answer = web.StreamResponse(headers=headers)
    await answer.prepare(request)
    waiting: list[LogLine] = []
    async with aclosing(logs.lines(found)) as lines:
        async for line in lines:
            if isinstance(line, LogLine):
                waiting.append(line)
            if len(waiting) == _AT_ONCE:
                await send_piece(request, answer, _text(waiting))
                waiting = []
    await send_piece(request, answer, _text(waiting))
    return answer


def _text(lines: Iterable[LogLine]) -> bytes:
    texts = (f"{each.at.isoformat()} {each.severity} {each.program or '-'}: {each.text}" for each in lines)
    return "".join(f"{printable(text)}\n" for text in texts).encode("utf-8", "replace")
