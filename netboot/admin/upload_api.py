"""`/api/v1/uploads`: ISOs and archives sent to a running daemon, resumable, ending in the same import as by command.

On the administration's listeners only. `POST` begins an upload, `PATCH` with `Upload-Offset` continues it, `GET` and
`HEAD` return its offset, `DELETE` deletes it. The import is a process of low priority: machines that boot come first.
"""

import asyncio
import json
import re
import secrets
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import structlog
from aiohttp import web

from netboot.admin.api import json_object
from netboot.content.library.uploads import Upload, Uploads, UploadState
from netboot.errors import ContentError

PIECE_BYTES: Final = 1 << 20
IMPORT_S: Final = 4 * 3600.0
_OFFSET: Final = re.compile(r"[0-9]{1,18}")

log = structlog.get_logger()

ImportCommand = Callable[[Upload, str], Sequence[str]]


class UploadApi:
    """The handlers, and the one import that runs at a time."""

    def __init__(self, uploads: Uploads, command: ImportCommand, *, now: Callable[[], datetime]) -> None:
        """Import by the process that `command` names for an upload and the path of its data; it prints JSON."""
        self._uploads = uploads
        self._command = command
        self._now = now
        self._complete: asyncio.Queue[str] = asyncio.Queue()

    def routes(self) -> list[web.RouteDef]:
        """List the routes; GET brings HEAD."""
        return [
            web.post("/api/v1/uploads", self.begin),
            web.get("/api/v1/uploads", self.list),
            web.get("/api/v1/uploads/{id}", self.show),
            web.patch("/api/v1/uploads/{id}", self.go_on),
            web.delete("/api/v1/uploads/{id}", self.remove),
        ]

    async def run(self) -> None:
        """Import complete uploads, one after another, until cancelled; repeat an import that a restart interrupted."""
        with _faults_logged("all"):
            for upload in await asyncio.to_thread(self._uploads.all):
                is_received = upload.state is UploadState.RECEIVING and upload.offset == upload.length
                if is_received or upload.state is UploadState.IMPORTING:
                    self._complete.put_nowait(upload.id)
        while True:
            id_ = await self._complete.get()
            with _faults_logged(id_):
                await self._import(id_)

    async def begin(self, request: web.Request) -> web.Response:
        """Begin an upload: `{"kind": "iso" | "archive", "length": BYTES, "name": NAME}`."""
        body = await json_object(request)
        now = self._now().isoformat()
        upload = await asyncio.to_thread(self._uploads.begin, body, id_=secrets.token_hex(16), now=now)
        log.info("content.upload_begun", upload=upload.id, kind=upload.kind.value, bytes=upload.length)
        return web.json_response(asdict(upload), status=201, headers={"Location": f"/api/v1/uploads/{upload.id}"})

    async def list(self, _request: web.Request) -> web.Response:
        """List the uploads."""
        return web.json_response([asdict(upload) for upload in await asyncio.to_thread(self._uploads.all)])

    async def show(self, request: web.Request) -> web.Response:
        """Return an upload's state and offset; the offset is also in the header `Upload-Offset`."""
        upload = await asyncio.to_thread(self._uploads.get, request.match_info["id"])
        return web.json_response(asdict(upload), headers=_offset(upload))

    async def go_on(self, request: web.Request) -> web.Response:
        """Receive the bytes from `Upload-Offset` on; bytes received before an interruption are kept."""
        id_, offset = request.match_info["id"], request.headers.get("Upload-Offset", "")
        if not _OFFSET.fullmatch(offset):
            raise web.HTTPBadRequest(text="Upload-Offset says where the bytes begin; GET shows how far the upload is")
        with self._uploads.receiving(id_, int(offset), announced=request.content_length) as receiver:
            async for piece in request.content.iter_chunked(PIECE_BYTES):
                await asyncio.to_thread(receiver.write, piece)
            await asyncio.to_thread(receiver.sync)
        upload = await asyncio.to_thread(self._uploads.get, id_)
        if upload.offset == upload.length:
            upload = await asyncio.to_thread(self._uploads.move, upload, UploadState.IMPORTING)
            self._complete.put_nowait(upload.id)
        return web.Response(status=204, headers=_offset(upload))

    async def remove(self, request: web.Request) -> web.Response:
        """Delete an upload."""
        await asyncio.to_thread(self._uploads.remove, request.match_info["id"])
        return web.Response(status=204)

    async def _import(self, id_: str) -> None:
        upload = await asyncio.to_thread(self._uploads.get, id_)
        if upload.state in (UploadState.DONE, UploadState.FAILED):
            return  # two writers sent its last byte
        if upload.state is UploadState.RECEIVING:
            upload = await asyncio.to_thread(self._uploads.move, upload, UploadState.IMPORTING)
        command = self._command(upload, str(self._uploads.data(upload)))
        log.info("content.upload_importing", upload=upload.id, kind=upload.kind.value)
        try:
            result = await _run(command)
        except ContentError as error:
            log.error("content.upload_failed", upload=upload.id, reason=str(error))
            await asyncio.to_thread(self._uploads.move, upload, UploadState.FAILED, error=str(error))
        else:
            log.info("content.upload_imported", upload=upload.id, name=result.get("name"))
            await asyncio.to_thread(self._uploads.move, upload, UploadState.DONE, result=result)


def _offset(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.offset), "Upload-Length": str(upload.length), "Cache-Control": "no-store"}


@contextmanager
def _faults_logged(upload: str) -> Iterator[None]:
    """Log a fault of one upload: a full disk ends neither the others nor the daemon."""
    try:
        yield
    except (ContentError, OSError) as error:
        log.error("content.upload_failed", upload=upload, reason=str(error))


async def _run(command: Sequence[str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(IMPORT_S):
            printed, complaint = await process.communicate()
    except (TimeoutError, asyncio.CancelledError) as stopped:
        process.kill()
        await process.wait()
        if isinstance(stopped, TimeoutError):
            raise ContentError(f"the import took more than {IMPORT_S / 3600:.0f} hours; try it by command") from None
        raise
    if process.returncode != 0:
        raise ContentError(_sentence(complaint.decode("utf-8", "replace"), process.returncode))
    try:
        result: dict[str, Any] = json.loads(printed)
    except ValueError:
        raise ContentError("the import said nothing that can be read; see netboot content list") from None
    return result


def _sentence(complaint: str, status: int | None) -> str:
    """Return the error of a failed import from its stderr, in which notes may come before it."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    said = [line.removeprefix("netboot: ") for line in lines if line.startswith("netboot: ")]
    if said:
        return said[-1]
    return f"the import ended with {status}: {lines[-1] if lines else 'it printed nothing'}"
