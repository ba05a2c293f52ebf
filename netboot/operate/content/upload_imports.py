"""Uploads of ISOs and archives to the daemon, and the one import that runs at a time: a process of low priority."""

import asyncio
import json
import secrets
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import structlog

from netboot.content.library.uploads import Upload, UploadRequest, Uploads, UploadState
from netboot.errors import ContentError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.operate.audit import audited

IMPORT_S: Final = 4 * 3600.0
EXPIRY_INTERVAL_S: Final = 3600.0

log = structlog.get_logger()

ImportCommand = Callable[[Upload, str], Sequence[str]]


class UploadImports:
    """The use cases of uploads; methods raise UploadError for a request that is refused."""

    def __init__(
        self, uploads: Uploads, command: ImportCommand, *, events: EventBus, now: Callable[[], datetime]
    ) -> None:
        """Import by the process that `command` names for an upload and the path of its data; it prints JSON."""
        self._uploads = uploads
        self._command = command
        self._events = events
        self._now = now
        self._complete: asyncio.Queue[str] = asyncio.Queue()
        self._imports = 0  # that run now

    def counts(self) -> Mapping[str, int]:
        """Count the uploads that are received, those that wait for their import, and those that are imported."""
        return {"receiving": self._uploads.open_count, "waiting": self._complete.qsize(), "importing": self._imports}

    async def run(self) -> None:
        """Import complete uploads, also those of a previous run, and delete expired ones, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._expire())
            tasks.create_task(self._import_all())

    async def _expire(self) -> None:
        while True:
            with _faults_logged("all"):
                for upload in await asyncio.to_thread(self._uploads.expire, self._now()):
                    log.info("content.upload_expired", upload=upload.id, state=upload.state.value)
            await asyncio.sleep(EXPIRY_INTERVAL_S)

    async def _import_all(self) -> None:
        with _faults_logged("all"):
            for upload in await self.all():
                is_received = upload.state is UploadState.RECEIVING and upload.offset == upload.length
                if upload.state is UploadState.IMPORTING or is_received:
                    self._complete.put_nowait(upload.id)
        while True:
            id_ = await self._complete.get()
            with _faults_logged(id_):
                await self._import(id_)

    async def begin(self, request: UploadRequest, *, actor: Actor) -> Upload:
        with audited(self._events, "begin upload", actor, subject=request.name or request.kind.value):
            id_, at = secrets.token_hex(16), self._now().isoformat()
            upload = await asyncio.to_thread(self._uploads.begin, request, id_=id_, now=at)
        log.info("content.upload_begun", upload=upload.id, kind=upload.kind.value, bytes=upload.length)
        return upload

    async def all(self) -> list[Upload]:
        """List the uploads, oldest first."""
        return await asyncio.to_thread(self._uploads.all)

    async def get(self, id_: str) -> Upload:
        return await asyncio.to_thread(self._uploads.get, id_)

    async def receive(self, id_: str, offset: int, pieces: AsyncIterable[bytes], *, announced: int | None) -> Upload:
        """Receive the bytes from `offset` on, and import the upload if they are the last.

        Bytes received before an interruption are kept. `announced` is the number of bytes, None if it is not announced.
        """
        with self._uploads.receiving(id_, offset, announced=announced) as receiver:
            async for piece in pieces:
                await asyncio.to_thread(receiver.write, piece)
            await asyncio.to_thread(receiver.sync)
        upload = await self.get(id_)
        if upload.offset == upload.length:
            upload = await asyncio.to_thread(self._uploads.move, upload, UploadState.IMPORTING)
            self._complete.put_nowait(upload.id)
        return upload

    async def remove(self, id_: str, *, actor: Actor) -> None:
        with audited(self._events, "remove upload", actor, subject=id_):
            await asyncio.to_thread(self._uploads.remove, id_)

    async def _import(self, id_: str) -> None:
        upload = await self.get(id_)
        if upload.has_ended:
            return  # two writers sent its last byte
        if upload.state is UploadState.RECEIVING:
            upload = await asyncio.to_thread(self._uploads.move, upload, UploadState.IMPORTING)
        command = self._command(upload, str(self._uploads.data(upload)))
        log.info("content.upload_importing", upload=upload.id, kind=upload.kind.value)
        self._imports += 1
        try:
            result = await _run(command)
        except ContentError as error:
            log.error("content.upload_failed", upload=upload.id, reason=str(error))
            await asyncio.to_thread(self._uploads.move, upload, UploadState.FAILED, error=str(error))
        else:
            log.info("content.upload_imported", upload=upload.id, name=result.get("name"))
            await asyncio.to_thread(self._uploads.move, upload, UploadState.DONE, result=result)
        finally:
            self._imports -= 1


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
    except TimeoutError:
        raise ContentError(f"the import took more than {IMPORT_S / 3600:.0f} hours; try it by command") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
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
