"""Complete uploads are imported one after another by a process; each end is stored, and each request is recorded."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fixtures.services import BuiltServices, WithServices
from structlog.testing import capture_logs

from netboot.content.library.uploads import Upload, UploadError, UploadKind, UploadRequest, Uploads, UploadState
from netboot.model.actor import Actor, Source
from netboot.operate.content.upload_imports import UploadImports

OPERATOR = Actor("uid 1000", Source.CONTROL_SOCKET)
IMPORTS = 'import sys; open(sys.argv[1] + ".seen", "a").write("x"); print(\'{"name": "ol9"}\')'


def python(program: str) -> Callable[[Upload, str], Sequence[str]]:
    return lambda _upload, path: [sys.executable, "-c", program, path]


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def sent(imports: UploadImports, data: bytes = b"data") -> Upload:
    upload = await imports.begin(UploadRequest(UploadKind.ISO, len(data), "ol9"), actor=OPERATOR)
    return await imports.receive(upload.id, 0, pieces(data[:1], data[1:]), announced=len(data))


async def ended(imports: UploadImports, id_: str) -> Upload:
    async with asyncio.timeout(20):
        while not (upload := await imports.get(id_)).has_ended or imports.counts()["importing"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return upload


@pytest.fixture
def with_imports(with_services: WithServices) -> Callable[..., Any]:
    """Run a scenario with uploads whose imports are done by a process."""

    def run(command: Callable[[Upload, str], Sequence[str]], use: Callable[..., Awaitable[Any]]) -> Any:
        async def scenario(services: BuiltServices) -> Any:
            uploads = Uploads(services.directory / "uploaded")
            imports = UploadImports(uploads, command, events=services.event_bus, now=services.clock.now)
            running = asyncio.create_task(imports.run())
            try:
                return await use(imports, uploads, services)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        return with_services(scenario)

    return run


def test_a_complete_upload_is_imported_and_its_bytes_are_removed(with_imports: Callable[..., Any]):
    async def use(imports: UploadImports, uploads: Uploads, _services: BuiltServices) -> None:
        upload = await sent(imports)
        assert (upload.state, upload.offset) == (UploadState.IMPORTING, 4)

        done = await ended(imports, upload.id)

        assert (done.state, done.result, done.error) == (UploadState.DONE, {"name": "ol9"}, None)
        assert await imports.all() == [done]
        assert not uploads.data(done).exists()
        assert uploads.data(done).with_suffix(".seen").read_text() == "x"

    with_imports(python(IMPORTS), use)


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; sys.exit('a note\\nnetboot: the ISO has no kernel\\n')", "the ISO has no kernel"),
        ("import sys; sys.exit('Killed')", "the import ended with 1: Killed"),
        ("import sys; sys.exit(3)", "the import ended with 3: it printed nothing"),
        ("print('no JSON')", "the import said nothing that can be read; see netboot content list"),
    ],
)
def test_an_import_that_fails_is_stored_with_its_reason_and_the_next_upload_is_imported(
    with_imports: Callable[..., Any], program: str, error: str
):
    programs = iter([program, IMPORTS])

    async def use(imports: UploadImports, _uploads: Uploads, _services: BuiltServices) -> None:
        with capture_logs() as lines:
            first, second = await sent(imports), await sent(imports)
            failed, done = await ended(imports, first.id), await ended(imports, second.id)

        assert (failed.state, failed.error, done.state) == (UploadState.FAILED, error, UploadState.DONE)
        reasons = [line["reason"] for line in lines if line["event"] == "content.upload_failed"]
        assert reasons == [error]

    with_imports(lambda upload, path: python(next(programs))(upload, path), use)


def test_an_import_that_a_restart_interrupted_is_repeated(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        uploads = Uploads(services.directory / "uploaded")
        stopped = UploadImports(uploads, python(IMPORTS), events=services.event_bus, now=services.clock.now)
        upload = await sent(stopped)  # it does not run

        started = UploadImports(uploads, python(IMPORTS), events=services.event_bus, now=services.clock.now)
        running = asyncio.create_task(started.run())
        done = await ended(started, upload.id)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert done.state is UploadState.DONE

    with_services(scenario)


def test_each_request_of_an_operator_is_recorded_with_its_outcome(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        uploads = Uploads(services.directory / "uploaded")
        imports = UploadImports(uploads, python(IMPORTS), events=services.event_bus, now=services.clock.now)
        begun = await imports.begin(UploadRequest(UploadKind.ISO, 4), actor=OPERATOR)
        complete = await sent(imports)
        with pytest.raises(UploadError, match="the upload is in use; wait for its end"):
            await imports.remove(complete.id, actor=OPERATOR)
        await imports.remove(begun.id, actor=OPERATOR)

        assert await imports.all() == [await imports.get(complete.id)]
        recorded = [event.data for event in await services.events() if event.name == "audit.recorded"]
        assert [(each["action"], each["subject"], each["outcome"], each["reason"]) for each in recorded] == [
            ("begin upload", "iso", "done", None),
            ("begin upload", "ol9", "done", None),
            ("remove upload", complete.id, "refused", "the upload is in use; wait for its end"),
            ("remove upload", begun.id, "done", None),
        ]
        assert {(each["actor"], each["source"]) for each in recorded} == {("uid 1000", "control-socket")}

    with_services(scenario)


def test_an_upload_that_is_gone_when_its_turn_comes_is_logged_and_the_next_is_imported(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        uploads = Uploads(services.directory / "uploaded")
        imports = UploadImports(uploads, python(IMPORTS), events=services.event_bus, now=services.clock.now)
        gone, kept = await sent(imports), await sent(imports)
        shutil.rmtree(uploads.data(gone).parent)
        with capture_logs() as lines:
            running = asyncio.create_task(imports.run())
            done = await ended(imports, kept.id)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        assert done.state is UploadState.DONE
        failed = [(line["upload"], line["reason"]) for line in lines if line["event"] == "content.upload_failed"]
        assert failed == [(gone.id, "no such upload; POST /api/v1/uploads begins one")]

    with_services(scenario)


def test_a_daemon_that_stops_ends_the_process_of_an_import_which_the_next_start_repeats(with_services: WithServices):
    async def scenario(services: BuiltServices) -> str:
        uploads = Uploads(services.directory / "uploaded")
        waits = "import os, sys, time; open(sys.argv[1] + '.pid', 'w').write(str(os.getpid())); time.sleep(60)"
        imports = UploadImports(uploads, python(waits), events=services.event_bus, now=services.clock.now)
        upload = await sent(imports)
        written = uploads.data(upload).with_suffix(".pid")
        running = asyncio.create_task(imports.run())
        async with asyncio.timeout(20):
            while not (written.exists() and written.read_text()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert (await imports.get(upload.id)).state is UploadState.IMPORTING
        return written.read_text()

    assert not Path("/proc", with_services(scenario)).exists()


def test_an_import_shows_its_progress_and_is_cancelled(with_imports: Callable[..., Any]):
    report = '{"progress": {"step": "unpacking", "done_bytes": 1, "total_bytes": 2}}'
    reports = f"import sys, time; print({report!r}, file=sys.stderr, flush=True); time.sleep(60)"

    async def use(imports: UploadImports, uploads: Uploads, _services: BuiltServices) -> None:
        upload, waiting = await sent(imports), await sent(imports)
        async with asyncio.timeout(20):
            while (progress := (await imports.get(upload.id)).progress) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (progress.step, progress.percent) == ("unpacking", 50)
        await imports.cancel(waiting.id, actor=OPERATOR)
        await imports.cancel(upload.id, actor=OPERATOR)

        for id_ in (upload.id, waiting.id):
            cancelled = await imports.get(id_)
            assert (cancelled.state, cancelled.error) == (UploadState.FAILED, "cancelled by uid 1000")
            assert not uploads.data(cancelled).exists()
        with pytest.raises(UploadError, match="the upload is failed; only a running import can be cancelled"):
            await imports.cancel(upload.id, actor=OPERATOR)

    with_imports(python(reports), use)
