"""`/content/` and `/ostree/` for aiohttp: kernel, initrd, stage 2 and the OSTree archive.

The same rules and bytes as `http_engine`, which takes the connections that begin with such a request; this door
serves those that began with another one (iPXE keeps the connection of its script for kernel and initrd).
Never decides who may have a file: content is the same for all, secrets are elsewhere.
"""

from ipaddress import IPv4Address
from typing import Final, Protocol

from aiohttp import web

from netboot.content.bodies import Bodies, FileChangedError
from netboot.content.objects import Content
from netboot.content.served import ServedFile
from netboot.model.release import ContentKind
from netboot.servers.http_files import FileAnswer
from netboot.servers.http_send import send_file

CONTENT_PREFIXES: Final = ("/content/", "/ostree/")


class ContentDesk(Protocol):
    """Who keeps the timeline of each boot."""

    def content_served(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        """Take note that a machine got a file, or `bytes_sent` of it. Called on the loop, must not wait."""


class ContentCounters(Protocol):
    """Who counts."""

    def content_sent(self, kind: ContentKind, status: int, bytes_sent: int) -> None:
        """Count one answer; refusals are of the kind `other`."""

    def request_malformed(self) -> None:
        """Count one request that is no HTTP."""


class ContentDoor:
    """What aiohttp's handlers and the engine share: the index, the bodies, who is told."""

    def __init__(self, content: Content, desk: ContentDesk, *, counters: ContentCounters) -> None:
        self.content = content
        self.bodies = Bodies()
        self.desk = desk
        self.counters = counters

    async def find(self, raw_path: str) -> ServedFile | None:
        """Find a file in memory, else on disk."""
        return self.content.find(raw_path) or await self.content.find_new(raw_path)

    def tell(self, remote: str | None, file: ServedFile | None, *, answer: FileAnswer, bytes_sent: int) -> None:
        """Count an answer; tell the desk of bytes that a machine got."""
        self.counters.content_sent(file.kind if file else ContentKind.OTHER, answer.status, bytes_sent)
        if file is None or not bytes_sent or not remote:
            return
        try:
            address = IPv4Address(remote)
        except ValueError:
            return  # IPv6: no machine of ours, PXE is IPv4 here
        self.desk.content_served(address, file, bytes_sent)

    def reloaded(self) -> None:
        """Forget what was read before a refresh of the index."""
        self.bodies.clear()


def content_routes(door: ContentDoor) -> list[web.AbstractRouteDef]:
    """Give the routes of both trees, for every method, so that each refusal is ours."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await send(request, door)

    return [web.route("*", prefix + "{member:.*}", handle) for prefix in CONTENT_PREFIXES]


async def send(request: web.Request, door: ContentDoor) -> web.StreamResponse:
    """Answer one request for content."""
    path = path_of_target(request.raw_path)
    file = await door.find(path)
    try:
        sent = await send_file(request, file, bodies=door.bodies)
    except FileChangedError:
        file = await door.content.find_new(path)
        try:
            sent = await send_file(request, file, bodies=door.bodies)
        except FileChangedError:  # it changes as fast as we look: somebody copies it in just now
            file = None
            sent = await send_file(request, None, bodies=door.bodies)
    door.tell(request.remote, file, answer=sent.answer, bytes_sent=sent.bytes_sent)
    return sent.response


def path_of_target(target: str) -> str:
    """Give the path of a request target; proxies' clients write the absolute form (RFC 9112 §3.2.2)."""
    if target.startswith("/"):
        return target
    _, separator, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if separator else target
