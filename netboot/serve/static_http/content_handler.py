"""`/content/` and `/ostree/` for aiohttp: kernel, initrd, stage 2 and the OSTree archive.

`static_http.engine` serves a connection whose first request is for content; this handler serves content on a connection
that began with another request: iPXE fetches kernel and initrd on the connection of its script. Both send the same
replies. Never decides who may have a file: content is the same for every machine and contains no secrets.
"""

import time
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv4Address
from typing import Final

import structlog
from aiohttp import web

from netboot.boot.named_files import FileService
from netboot.content.serving.bodies import Bodies, FileChangedError
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.served_file import ServedFile
from netboot.errors import ContentError
from netboot.model import urls
from netboot.model.release import ContentKind
from netboot.serve.static_http.conditional import unreadable
from netboot.serve.static_http.refused import RefusalReason
from netboot.serve.static_http.send import refused, send_file
from netboot.serve.static_http.shares import ShareLimits
from netboot.serve.static_http.turns import Turns
from netboot.telemetry.logs import LineLimit
from netboot.telemetry.metrics import Metrics

log = structlog.get_logger()

_LOGGED_KINDS: Final = frozenset({ContentKind.KERNEL, ContentKind.INITRD, ContentKind.STAGE2, ContentKind.TREEINFO})


class ContentHandler:
    """What aiohttp's handlers and the engine share: the index, the bodies, the file service."""

    def __init__(
        self,
        content: ContentIndex,
        service: FileService,
        *,
        counters: Metrics,
        limits: ShareLimits,
    ) -> None:
        self.content = content
        self.turns = Turns(limits)
        self.bodies = Bodies()
        self.service = service
        self.counters = counters
        self._faults = LineLimit()

    def record_refused(self, address: str, reason: RefusalReason) -> None:
        """Count a request that was refused before it reached a handler, and emit an event, which limits itself."""
        self.counters.request_refused(reason)
        self.service.request_refused(address, reason)

    async def find(self, raw_path: str) -> ServedFile | None:
        """Find a file in memory, else on disk."""
        return self.content.find(raw_path) or await self.content.find_new(raw_path)

    def emit(
        self, remote: str | None, file: ServedFile | None, *, status: HTTPStatus, bytes_sent: int, began: float
    ) -> None:
        """Count an answer, log it, and report the bytes to the file service. `began` is monotonic seconds.

        The file service gets each object of a pull and knows its progress; a pull is not logged object by object.
        """
        kind = file.kind if file else ContentKind.OTHER
        self.counters.content_sent(kind, status, bytes_sent)
        if file is None or status >= HTTPStatus.BAD_REQUEST:
            log.debug("http.content_refused", address=remote, status=status.value)
            return
        if kind in _LOGGED_KINDS:
            ms = round((time.monotonic() - began) * 1000)
            name = f"{file.owner}/{file.member}"
            log.info("http.content_sent", address=remote, file=name, bytes=bytes_sent, duration_ms=ms)
        if bytes_sent and (address := _machine(remote)):
            self.service.content_served(address, file, bytes_sent)

    def record_unreadable(self, path: str, error: Exception) -> None:
        """Log that a served file cannot be read: once a minute for each fault."""
        if self._faults.allows(str(error)):
            log.error("http.content_unreadable", path=path, reason=str(error))

    def reloaded(self) -> None:
        """Forget what was read before a refresh of the index."""
        self.bodies.clear()


@lru_cache(maxsize=1024)
def _machine(remote: str | None) -> IPv4Address | None:
    """Read a peer's address; None for IPv6, by which no machine of ours boots."""
    try:
        return IPv4Address(remote or "")
    except ValueError:
        return None


def content_routes(handler: ContentHandler) -> list[web.AbstractRouteDef]:
    """Give the routes of both trees, for every method, so that each refusal is ours."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await send(request, handler)

    return [web.route("*", prefix + "{member:.*}", handle) for prefix in urls.CONTENT_PREFIXES]


async def send(request: web.Request, handler: ContentHandler) -> web.StreamResponse:
    """Answer one request for content."""
    began = time.monotonic()
    path = path_of_target(request.raw_path)
    file = None
    try:
        try:
            file = await handler.find(path)
            sent = await send_file(request, file, bodies=handler.bodies, turns=handler.turns)
        except FileChangedError:
            file = await handler.content.find_new(path)
            sent = await send_file(request, file, bodies=handler.bodies, turns=handler.turns)
    except FileChangedError:  # it changes while it is read: it is being copied in
        file = None
        sent = await send_file(request, None, bodies=handler.bodies, turns=handler.turns)
    except (ContentError, OSError) as error:
        handler.record_unreadable(path, error)
        sent = refused(unreadable())
    handler.emit(request.remote, file, status=sent.answer.status, bytes_sent=sent.bytes_sent, began=began)
    return sent.response


def path_of_target(target: str) -> str:
    """Give the path of a request target; proxies' clients write the absolute form (RFC 9112 §3.2.2)."""
    if target.startswith("/"):
        return target
    _, separator, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if separator else target
