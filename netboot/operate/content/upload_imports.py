"""Uploads of ISOs and archives to the daemon, and the one import that runs at a time: a process of low priority."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog

from netboot.content.library.progress import ProgressReport
from netboot.content.library.uploads import Upload, UploadError, UploadRequest, Uploads, UploadState
from netboot.errors import ContentError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.operate.audit import audited
from netboot.operate.content.progress_process import ProgressProcess

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
        self._importing: str | None = None
        self._process: ProgressProcess | None = None
        self._progress: ProgressReport | None = None

    def counts(self) -> Mapping[str, int]:
        """Count the uploads that are received, those that wait for their import, and those that are imported."""
        return {
            "receiving": self._uploads.open_count,
            "waiting": self._complete.qsize(),
            "importing": int(self._importing is not None),
        }

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
        return [self._with_progress(upload) for upload in await asyncio.to_thread(self._uploads.all)]

    async def get(self, id_: str) -> Upload:
        return self._with_progress(await asyncio.to_thread(self._uploads.get, id_))

    def _with_progress(self, upload: Upload) -> Upload:
        return replace(upload, progress=self._progress) if upload.id == self._importing else upload

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

    async def cancel(self, id_: str, *, actor: Actor) -> None:
        """End the import of an upload, which leaves the content as it was; raise UploadError if it is not imported."""
        with audited(self._events, "cancel import", actor, subject=id_):
            upload = await self.get(id_)
            if upload.state is not UploadState.IMPORTING:
                raise UploadError(409, f"the upload is {upload.state}; only a running import can be cancelled")
            if self._process is not None and id_ == self._importing:
                await self._process.stop()
            await asyncio.to_thread(self._uploads.move, upload, UploadState.FAILED, error=f"cancelled by {actor.name}")

    async def _import(self, id_: str) -> None:
        upload = await self.get(id_)
        if upload.has_ended:
            return  # two writers sent its last byte
        if upload.state is UploadState.RECEIVING:
            upload = await asyncio.to_thread(self._uploads.move, upload, UploadState.IMPORTING)
        command = self._command(upload, str(self._uploads.data(upload)))
        log.info("content.upload_importing", upload=upload.id, kind=upload.kind.value)
        self._importing, self._process = upload.id, ProgressProcess(command, self._note_progress)
        try:
            result = await _imported(self._process)
        except ContentError as error:
            if self._process.is_stopped:
                return  # `cancel` records the end
            log.error("content.upload_failed", upload=upload.id, reason=str(error))
            await asyncio.to_thread(self._uploads.move, upload, UploadState.FAILED, error=str(error))
        else:
            log.info("content.upload_imported", upload=upload.id, name=result.get("name"))
            await asyncio.to_thread(self._uploads.move, upload, UploadState.DONE, result=result)
        finally:
            self._importing = self._process = self._progress = None

    def _note_progress(self, report: ProgressReport) -> None:
        self._progress = report


@contextmanager
def _faults_logged(upload: str) -> Iterator[None]:
    """Log a fault of one upload: a full disk ends neither the others nor the daemon."""
    try:
        yield
    except (ContentError, OSError) as error:
        log.error("content.upload_failed", upload=upload, reason=str(error))


async def _imported(process: ProgressProcess) -> dict[str, Any]:
    try:
        async with asyncio.timeout(IMPORT_S):
            outcome = await process.run()
    except TimeoutError:
        raise ContentError(f"the import took more than {IMPORT_S / 3600:.0f} hours; try it by command") from None
    if outcome.status != 0:
        raise ContentError(outcome.sentence("the import"))
    try:
        result: dict[str, Any] = json.loads(outcome.printed)
    except ValueError:
        raise ContentError("the import said nothing that can be read; see netboot content list") from None
    return result
