"""Serves style sheet, scripts and icon of the pages from memory; a browser keeps a URL with the digest for a year."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.model.access.access_rule import Need

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class _PageFile:
    body: bytes
    content_type: str
    digest: str


class PageFiles:
    def __init__(self, directory: Path) -> None:
        """Read every file of a directory."""
        self._files = {
            path.name: _PageFile(path.read_bytes(), _TYPES[path.suffix], _digest(path))
            for path in sorted(directory.iterdir())
        }

    @property
    def addresses(self) -> dict[str, str]:
        """Return the URL of each file."""
        return {name: f"/static/{name}?v={file.digest}" for name, file in self._files.items()}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/static/{name}", self.serve)]

    @needs(Need.OPEN)
    async def serve(self, request: web.Request) -> web.Response:
        """Serve a file."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound(text="no such file")
        is_pinned = request.query.get("v") == file.digest
        headers = {
            "ETag": f'"{file.digest}"',
            "Cache-Control": "public, max-age=31536000, immutable" if is_pinned else "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        if any(tag.value == file.digest for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGITS]
