"""`/bootfiles/{name}` and `/boot/{mac}/{name}`: what firmware, shim and GRUB load by HTTP, with length and ranges.

shim and GRUB request further files from the directory that they were loaded from. Below `/boot/{mac}/` they find the
files of this machine. Thin: the file service resolves names. A small file is sent in one write with its head.
"""

import time
from ipaddress import IPv4Address

import structlog
from aiohttp import web

from netboot.boot.named_files import FileService
from netboot.content.bootfiles.directories import BootFile
from netboot.content.serving.bodies import Bodies, FileChangedError
from netboot.content.serving.served_file import ServedFile, served_file
from netboot.errors import NetbootError
from netboot.model import urls
from netboot.model.boot.offer import MachineDocument
from netboot.serve.static_http.request_origin import base_url, mac_in_path, remote_address
from netboot.serve.static_http.send import send_file

log = structlog.get_logger()


class BootFileHandler:
    """The handler of two paths."""

    def __init__(self, file_service: FileService) -> None:
        self._file_service = file_service
        self._bodies = Bodies()

    def routes(self) -> list[web.RouteDef]:
        """List the routes, for all methods, so that each refusal has our form. Add them after those of documents."""
        return [
            web.route("*", urls.BOOT_FILE_ROUTE, self.handle),
            web.route("*", urls.MACHINE_FILE_ROUTE, self.handle),
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request for a boot file or a document."""
        began = time.monotonic()
        address, name = remote_address(request), request.match_info["name"]
        found = (
            None
            if name == urls.LOCAL_DISK_NAME
            else self._file_service.loader_for(address, name, mac=mac_in_path(request))
        )
        if isinstance(found, MachineDocument) and request.method in ("GET", "HEAD"):
            return await self._document(request, found, address)
        file = _served(found)
        try:
            sent = await send_file(request, file, bodies=self._bodies)
        except FileChangedError:
            sent = await send_file(request, None, bodies=self._bodies)
        if file is not None and sent.bytes_sent >= file.size_bytes:
            seconds = time.monotonic() - began
            self._file_service.loader_sent(
                address, name, bytes_sent=sent.bytes_sent, seconds=seconds, retransmissions=0, outcome="sent"
            )
        return sent.response

    async def _document(self, request: web.Request, document: MachineDocument, address: IPv4Address) -> web.Response:
        is_head = request.method == "HEAD"
        try:
            text = await self._file_service.document_for(document, address, base_url=base_url(request), is_head=is_head)
        except NetbootError as error:
            log.error("boot.document_held_back", document=document.kind, address=str(address), reason=str(error))
            return _text("not now\n", status=503, retry_after_s=5)
        return _text("not found\n", status=404) if text is None else _text(text)


def _text(text: str, *, status: int = 200, retry_after_s: int | None = None) -> web.Response:
    """Answer with a text that no cache keeps, always with its length."""
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(retry_after_s)} if retry_after_s else {})
    return web.Response(status=status, text=text, content_type="text/plain", headers=headers)


def _served(found: BootFile | MachineDocument | None) -> ServedFile | None:
    if not isinstance(found, BootFile):
        return None
    try:
        return served_file(str(found.path), found.path.stat(), member=found.name)
    except OSError:
        return None
