"""`/bootfiles/{name}`: network boot programs for UEFI HTTP boot, with length and ranges."""

from ipaddress import IPv4Address
from typing import Protocol

from aiohttp import web

from netboot.content.bodies import Bodies, FileChangedError
from netboot.content.bootfiles import BootFile
from netboot.content.served import ServedFile, served_file
from netboot.servers.http_send import send_file


class LoaderDesk(Protocol):
    """Who decides what a machine may load."""

    def loader_for(self, address: IPv4Address, name: str) -> BootFile | bytes | None:
        """Find a boot file for the machine at this address."""

    def loader_sent(
        self, address: IPv4Address, name: str, *, bytes_sent: int, seconds: float, retransmissions: int, outcome: str
    ) -> None:
        """Take note of a loader that went out."""


class BootFilesHttp:
    """The handler of one path."""

    def __init__(self, desk: LoaderDesk) -> None:
        self._desk = desk
        self._bodies = Bodies()

    def routes(self) -> list[web.RouteDef]:
        """List the routes; all methods, so that each refusal has our form."""
        return [web.route("*", "/bootfiles/{name:.*}", self.handle)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a boot file."""
        began = request.loop.time()
        address = IPv4Address(request.remote or "0.0.0.0")
        name = request.match_info["name"]
        file = _served(self._desk.loader_for(address, name))
        try:
            sent = await send_file(request, file, bodies=self._bodies)
        except FileChangedError:
            sent = await send_file(request, None, bodies=self._bodies)
        if file is not None and sent.bytes_sent >= file.size_bytes:
            seconds = request.loop.time() - began
            self._desk.loader_sent(
                address, name, bytes_sent=sent.bytes_sent, seconds=seconds, retransmissions=0, outcome="sent"
            )
        return sent.response


def _served(found: BootFile | bytes | None) -> ServedFile | None:
    if not isinstance(found, BootFile):
        return None  # what is rendered for one machine has a URL of its own below /boot/
    try:
        return served_file(str(found.path), found.path.stat(), member=found.name)
    except OSError:
        return None
