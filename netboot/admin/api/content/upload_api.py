"""`/api/v1/uploads`: ISOs and archives sent to a running daemon, resumable, ending in the same import as by command.

On the administration's listeners only. `POST` begins an upload, `PATCH` with `Upload-Offset` continues it, `GET` and
`HEAD` return its offset, `DELETE` deletes it.
"""

import re
from dataclasses import asdict
from typing import Final

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.request_body import json_object
from netboot.content.library.uploads import Upload, UploadRequest
from netboot.operate.upload_imports import UploadImports

PIECE_BYTES: Final = 1 << 20
_OFFSET: Final = re.compile(r"[0-9]{1,18}")


class UploadApi:
    def __init__(self, imports: UploadImports) -> None:
        self._imports = imports

    def routes(self) -> list[web.RouteDef]:
        """List the routes; GET brings HEAD."""
        return [
            web.post("/api/v1/uploads", self.begin),
            web.get("/api/v1/uploads", self.list),
            web.get("/api/v1/uploads/{id}", self.show),
            web.patch("/api/v1/uploads/{id}", self.go_on),
            web.delete("/api/v1/uploads/{id}", self.remove),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        """Begin an upload: `{"kind": "iso" | "archive", "length": BYTES, "name": NAME}`."""
        wanted = UploadRequest.read(await json_object(request))
        upload = await self._imports.begin(wanted, actor=actor_of(request))
        return web.json_response(asdict(upload), status=201, headers={"Location": f"/api/v1/uploads/{upload.id}"})

    async def list(self, _request: web.Request) -> web.Response:
        return web.json_response([asdict(upload) for upload in await self._imports.all()])

    async def show(self, request: web.Request) -> web.Response:
        """Return an upload's state and offset; the offset is also in the header `Upload-Offset`."""
        upload = await self._imports.get(request.match_info["id"])
        return web.json_response(asdict(upload), headers=_offset(upload))

    async def go_on(self, request: web.Request) -> web.Response:
        """Receive the bytes from `Upload-Offset` on; bytes received before an interruption are kept."""
        offset = request.headers.get("Upload-Offset", "")
        if not _OFFSET.fullmatch(offset):
            raise web.HTTPBadRequest(
                text="Upload-Offset is the offset of the first byte; GET returns the upload's offset"
            )
        pieces = request.content.iter_chunked(PIECE_BYTES)
        id_, announced = request.match_info["id"], request.content_length
        upload = await self._imports.receive(id_, int(offset), pieces, announced=announced)
        return web.Response(status=204, headers=_offset(upload))

    async def remove(self, request: web.Request) -> web.Response:
        await self._imports.remove(request.match_info["id"], actor=actor_of(request))
        return web.Response(status=204)


def _offset(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length), "Cache-Control": "no-store"}
