"""A complete upload is imported once, and an import that fails does not end the others."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector, web
from fixtures.tus_headers import RESUMABLE, continuation, creation
from structlog.testing import capture_logs

from netboot.admin.api.content import upload_api
from netboot.admin.api.content.upload_api import UploadApi
from netboot.admin.api.problems import errors_as_json
from netboot.content.library.uploads import Upload, Uploads, UploadState
from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.model.clock import utc_now
from netboot.operate.content.upload_imports import UploadImports
from netboot.store.database import Database

TIMEOUT_S = 20.0
GOOD = 'import sys; open(sys.argv[1] + ".seen", "a").write("x"); print("{}")'


class Uploader:
    """A client on the control socket."""

    def __init__(self, session: ClientSession, uploads: Uploads) -> None:
        self._session = session
        self.uploads = uploads

    async def send(self, data: bytes, *, length: int | None = None) -> str:
        """Upload these bytes, which may be less than `length`."""
        headers = creation(length or len(data), kind="iso")
        async with self._session.post("http://netboot/api/v1/uploads", headers=headers) as begun:
            id_: str = (await begun.json())["id"]
        assert await self.go_on(id_, 0, data) == 204
        return id_

    async def go_on(self, id_: str, offset: int | str, data: bytes | AsyncIterator[bytes] = b"") -> int:
        url, headers = f"http://netboot/api/v1/uploads/{id_}", continuation(offset)
        async with self._session.patch(url, data=data, headers=headers) as answer:
            return answer.status

    async def remove(self, id_: str) -> int:
        async with self._session.delete(f"http://netboot/api/v1/uploads/{id_}", headers=RESUMABLE) as answer:
            return answer.status

    async def end_of(self, id_: str) -> Upload:
        async with asyncio.timeout(TIMEOUT_S):
            while not (upload := self.uploads.get(id_)).has_ended:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return upload


def importing(
    directory: Path, command: Callable[[Upload, str], Sequence[str]], talk: Callable[[Uploader], Awaitable[None]]
) -> None:
    """Serve uploads whose import is `command`, and run `use` with a client."""

    async def run() -> None:
        uploads, database = Uploads(directory), await Database.open(f"sqlite+aiosqlite:///{directory}/netboot.db")
        events = EventBus(EventLog(database), now=utc_now)
        imports = UploadImports(uploads, command, events=events, now=utc_now)
        app = web.Application(middlewares=[errors_as_json])
        app.add_routes(UploadApi(imports).routes())
        runner = web.AppRunner(app)
        await runner.setup()
        socket = str(directory / "control.sock")
        await web.UnixSite(runner, socket).start()
        importer = asyncio.create_task(imports.run())
        try:
            async with ClientSession(connector=UnixConnector(socket)) as session:
                await talk(Uploader(session, uploads))
            assert not importer.done()
        finally:
            importer.cancel()
            await runner.cleanup()
            await database.close()

    asyncio.run(run())


def python(program: str, data: str) -> list[str]:
    return [sys.executable, "-c", program, data]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(lambda data: python("print('no JSON')", data), id="it-says-nothing-that-can-be-read"),
        pytest.param(lambda data: ["/no/such/program", data], id="it-is-not-there"),
        pytest.param(lambda data: python("import os, sys; os.kill(os.getpid(), 9)", data), id="it-is-killed"),
        pytest.param(
            lambda data: python("import shutil, sys, os; shutil.rmtree(os.path.dirname(sys.argv[1]))", data),
            id="somebody-takes-the-upload-away-meanwhile",
        ),
    ],
)
def test_an_import_that_goes_wrong_does_not_end_the_others(
    tmp_path: Path, command: Callable[[str], Sequence[str]]
) -> None:
    first: list[str] = []

    def chosen(upload: Upload, data: str) -> Sequence[str]:
        return command(data) if upload.id in first else python(GOOD, data)

    async def talk(uploader: Uploader) -> None:
        first.append(await uploader.send(b"ba", length=3))
        assert await uploader.go_on(first[0], 2, b"d") == 204
        good = await uploader.send(b"good")
        assert (await uploader.end_of(good)).state is UploadState.DONE

    importing(tmp_path, chosen, talk)


def test_an_upload_whose_end_came_twice_is_imported_once(tmp_path: Path) -> None:
    async def talk(uploader: Uploader) -> None:
        id_ = await uploader.send(b"da", length=4)
        statuses = await asyncio.gather(uploader.go_on(id_, 2, b"ta"), *[uploader.go_on(id_, 4) for _ in range(20)])
        assert statuses[0] == 204
        assert set(statuses) <= {204, 409, 422}
        last = await uploader.send(b"last")
        await uploader.end_of(last)
        assert (await uploader.end_of(id_)).state is UploadState.DONE
        assert uploader.uploads.data(uploader.uploads.get(id_)).with_suffix(".seen").read_text() == "x"

    importing(tmp_path, lambda _, data: python(GOOD, data), talk)


def test_an_offset_of_five_thousand_digits_is_no_offset(tmp_path: Path) -> None:
    async def talk(uploader: Uploader) -> None:
        id_ = await uploader.send(b"da", length=4)
        offsets: list[Any] = ["9" * 5000, "-1", "+2", "0x2", "2.0", "٢"]
        assert [await uploader.go_on(id_, offset) for offset in offsets] == [400] * 6

    importing(tmp_path, lambda _, data: python(GOOD, data), talk)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ('print("note: x\\nnetboot: it is not an ISO; stop", file=sys.stderr); sys.exit(1)', "it is not an ISO; stop"),
        ("1 / 0", "the import ended with 1: ZeroDivisionError: division by zero"),
        ("sys.exit(3)", "the import ended with 3: it printed nothing"),
        ("import os; os.kill(os.getpid(), 9)", "the import ended with -9: it printed nothing"),
    ],
)
def test_the_reason_of_a_failed_import_is_one_sentence(tmp_path: Path, program: str, reason: str) -> None:
    async def talk(uploader: Uploader) -> None:
        upload = await uploader.end_of(await uploader.send(b"data"))

        assert (upload.state, upload.error) == (UploadState.FAILED, reason)

    importing(tmp_path, lambda _upload, _data: [sys.executable, "-c", f"import sys; {program}"], talk)


def test_an_upload_that_begins_or_is_removed_is_in_the_audit_trail_with_its_actor(tmp_path: Path) -> None:
    async def talk(uploader: Uploader) -> None:
        id_ = await uploader.send(b"da", length=4)
        assert await uploader.remove(id_) == 204
        assert await uploader.remove(id_) == 404

    with capture_logs() as logs:
        importing(tmp_path, lambda _, data: python(GOOD, data), talk)

    kept = ("action", "actor", "source", "outcome", "reason")
    by = (f"uid {os.getuid()}", "control-socket")
    assert [tuple(line[key] for key in kept) for line in logs if line["event"] == "audit.recorded"] == [
        ("begin upload", *by, "done", None),
        ("remove upload", *by, "done", None),
        ("remove upload", *by, "refused", "no such upload; POST /api/v1/uploads begins one"),
    ]


def test_a_client_that_sends_nothing_more_loses_the_upload_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_api, "STALLED_S", 0.2)

    async def stalling() -> AsyncIterator[bytes]:
        yield b"ta"
        await asyncio.sleep(TIMEOUT_S)

    async def talk(uploader: Uploader) -> None:
        id_ = await uploader.send(b"da", length=8)
        assert await uploader.go_on(id_, 2, stalling()) == 408
        assert uploader.uploads.get(id_).offset == 4
        assert await uploader.go_on(id_, 4, b"more") == 204

    importing(tmp_path, lambda _, data: python(GOOD, data), talk)
