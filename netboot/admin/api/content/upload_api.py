"""`/api/v1/uploads`: ISOs and archives sent to a running daemon, resumable, ending in the same import as by command.

On the administration's listeners only. The protocol is tus 1.0.0; `GET`, which it does not have, returns JSON.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.content.tus import (
    BODY_TYPE,
    CAPABILITIES,
    VERSION,
    tus,
    upload_headers,
    upload_offset,
    upload_request,
)
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.content.library.uploads import Upload, UploadError
from netboot.errors import ContentError
from netboot.operate.content.upload_imports import UploadImports

PIECE_BYTES: Final = 1 << 20
STALLED_S: Final = 60.0  # then the writer's connection is lost, and another may continue
_PATH: Final = "/api/v1/uploads"
_NUMBER: Final = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_VERSION: Final = {"Tus-Resumable": {"const": VERSION}}
_REFUSALS: Final = (400, 404, 408, 409, 410, 412, 413, 415, 500, 503, 507)


class UploadApi:
    def __init__(self, imports: UploadImports) -> None:
        self._imports = imports

    def routes(self) -> list[web.RouteDef]:
        one = f"{_PATH}/{{id}}"
        return [
            web.options(_PATH, self.describe),
            web.options(one, self.describe),
            web.get(_PATH, self.list),
            web.get(one, self.show, allow_head=False),
            web.post(_PATH, tus(self.begin)),
            web.head(one, tus(self.offset)),
            web.patch(one, tus(self.append)),
            web.delete(one, tus(self.remove)),
            web.post(one, tus(self.overridden)),
            web.post(f"{one}/cancel", self.cancel_import),
        ]

    @operation(status=204, headers=list(CAPABILITIES))
    async def describe(self, _request: web.Request) -> web.Response:
        """Name the version and the extensions of tus."""
        return web.Response(status=204, headers=CAPABILITIES | {"Tus-Resumable": CAPABILITIES["Tus-Version"]})

    @operation(
        Upload,
        status=201,
        headers=["Location", "Upload-Offset"],
        request_headers={**_VERSION, "Upload-Length": _NUMBER, "Upload-Metadata": {"type": "string"}},
        statuses=_REFUSALS,
    )
    async def begin(self, request: web.Request) -> web.Response:
        """Begin an upload of `Upload-Length` bytes; the body may have its first bytes."""
        wanted, announced = upload_request(request.headers), request.content_length
        has_bytes = request.content_type == BODY_TYPE and request.can_read_body
        if has_bytes and announced is not None and announced > wanted.length:
            raise UploadError(400, f"{announced} bytes are more than the announced {wanted.length}")
        upload = await self._imports.begin(wanted, actor=actor_of(request))
        if has_bytes:
            upload = await self._imports.receive(upload.id, 0, _pieces(request), announced=announced)
        headers = {**upload_headers(upload), "Location": f"{_PATH}/{upload.id}"}
        return json_answer(upload, status=201, headers=headers)

    @operation(Sequence[Upload], errors=[ContentError])
    async def list(self, _request: web.Request) -> web.Response:
        """List the uploads, oldest first."""
        return json_answer(await self._imports.all())

    @operation(Upload, headers=["Upload-Offset"], statuses=_REFUSALS)
    async def show(self, request: web.Request) -> web.Response:
        """Return an upload's state; the offset is also in the header `Upload-Offset`."""
        upload = await self._imports.get(request.match_info["id"])
        return json_answer(upload, headers=upload_headers(upload))

    @operation(request_headers=_VERSION, headers=["Upload-Offset"], statuses=_REFUSALS)
    async def offset(self, request: web.Request) -> web.Response:
        """Return the offset at which an upload continues, in the header `Upload-Offset`."""
        return web.Response(headers=upload_headers(await self._imports.get(request.match_info["id"])))

    @operation(
        status=204,
        body_media_type=BODY_TYPE,
        headers=["Upload-Offset"],
        request_headers={**_VERSION, "Upload-Offset": _NUMBER},
        statuses=_REFUSALS,
    )
    async def append(self, request: web.Request) -> web.Response:
        """Receive the bytes from `Upload-Offset` on; bytes received before an interruption are kept."""
        if request.content_type != BODY_TYPE:
            raise web.HTTPUnsupportedMediaType(text=f"the bytes of an upload have the Content-Type {BODY_TYPE}")
        id_, announced = request.match_info["id"], request.content_length
        offset = upload_offset(request.headers)
        upload = await self._imports.receive(id_, offset, _pieces(request), announced=announced)
        return web.Response(status=204, headers=upload_headers(upload))

    @operation(status=204, request_headers=_VERSION, statuses=_REFUSALS)
    async def remove(self, request: web.Request) -> web.Response:
        """Delete an upload and its bytes."""
        await self._imports.remove(request.match_info["id"], actor=actor_of(request))
        return web.Response(status=204)

    @operation(Upload, errors=[ContentError], statuses=_REFUSALS)
    async def cancel_import(self, request: web.Request) -> web.Response:
        """End the import of an upload, which leaves the content as it was."""
        id_ = request.match_info["id"]
        await self._imports.cancel(id_, actor=actor_of(request))
        return json_answer(await self._imports.get(id_))

    @operation(
        status=204,
        request_headers={**_VERSION, "X-HTTP-Method-Override": {"enum": ["PATCH", "DELETE", "HEAD"]}},
        other_statuses=[200],
        statuses=(*_REFUSALS, 405),
    )
    async def overridden(self, request: web.Request) -> web.Response:
        """Do what the method in `X-HTTP-Method-Override` does, for a client that cannot send that method."""
        match request.headers.get("X-HTTP-Method-Override"):
            case "PATCH":
                return await self.append(request)
            case "DELETE":
                return await self.remove(request)
            case "HEAD":
                return await self.offset(request)
            case _:
                raise web.HTTPMethodNotAllowed("POST", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH"])


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body; raise UploadError if nothing more of it comes, so that the upload is not held for hours."""
    while True:
        try:
            async with asyncio.timeout(STALLED_S):
                piece = await request.content.readany()
        except TimeoutError:
            raise UploadError(408, f"no byte came for {STALLED_S:.0f} s; continue at the upload's offset") from None
        if not piece:
            return
        yield piece
