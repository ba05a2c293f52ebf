"""Uploads by tuspy, an independent client of tus 1.0.0, to a daemon that is killed, full, or not its own."""

import io
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daemon.test_uploads import Uploader as Curl
from daemon.test_uploads import archive  # noqa: F401 - a fixture
from fixtures.rack import Rack
from netns import inside
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

pytestmark = pytest.mark.integration

URL = "http://127.0.0.1:8470/api/v1/uploads"
PIECE_BYTES = 4096


@pytest.fixture
def uploading(rack: Rack) -> Iterator[Callable[..., Any]]:
    """Make an uploader of bytes in pieces, on the appliance itself."""

    def make(data: bytes, *, url: str | None = None, **metadata: str) -> Any:
        client = TusClient(URL)
        return client.uploader(
            file_stream=io.BytesIO(data), url=url, chunk_size=PIECE_BYTES, metadata=metadata, retries=0
        )

    with inside(rack.server_namespace):
        yield make


@contextmanager
def refused(status: int) -> Iterator[None]:
    with pytest.raises(TusCommunicationError) as raised:
        yield
    assert raised.value.status_code == status, raised.value.response_content


def end_of(rack: Rack, uploader: Any) -> dict[str, Any]:
    return Curl(rack).end_of({"id": uploader.url.rpartition("/")[2]})


def test_a_whole_archive_ends_as_a_release(rack: Rack, uploading: Callable[..., Any], archive: bytes):  # noqa: F811
    uploader = uploading(archive, kind="archive", name="ock-tus", filename="ock.tar")

    uploader.upload()

    ended = end_of(rack, uploader)
    assert (ended["state"], ended["offset"]) == ("done", len(archive))
    assert ended["result"]["name"] == "ock-tus"
    machine = rack.machine("52:54:00:99:99:99", "192.0.2.60")
    assert machine.get("/ostree/ock-tus/refs/heads/ock").status == 200


def test_an_upload_continues_after_the_client_and_the_daemon_were_killed(
    rack: Rack,
    uploading: Callable[..., Any],
    archive: bytes,  # noqa: F811
):
    first = uploading(archive, kind="archive", name="ock-tus")
    first.upload(stop_at=2 * PIECE_BYTES)
    rack.kill()
    with pytest.raises(TusUploadFailed):
        first.upload_chunk()
    rack.start()

    second = uploading(archive, url=first.url)  # another process: it queries the offset
    assert second.offset == 2 * PIECE_BYTES
    second.upload()

    assert end_of(rack, second)["state"] == "done"


def test_bytes_at_a_wrong_offset_and_requests_of_another_version_change_nothing(uploading: Callable[..., Any]):
    uploader = uploading(b"x" * PIECE_BYTES * 2, kind="iso")
    uploader.upload_chunk()
    uploader.offset = 1
    with refused(409):
        uploader.upload_chunk()
    uploader.client.set_headers({"Tus-Resumable": "0.2.2"})
    uploader.offset = PIECE_BYTES
    with refused(412):
        uploader.upload_chunk()
    with refused(412):
        uploader.create_url()
    uploader.client.headers.clear()

    assert uploader.get_offset() == PIECE_BYTES


def test_metadata_that_names_no_import_and_a_file_that_does_not_fit_begin_no_upload(
    rack: Rack, uploading: Callable[..., Any]
):
    for status, metadata in ((400, {"filename": "notes.txt"}), (400, {"kind": "archive"}), (400, {"kind": "floppy"})):
        with refused(status):
            uploading(b"x", **metadata).upload()
    uploader = uploading(b"x", kind="iso")
    for status, length in ((507, 1 << 39), (413, 1 << 41), (400, 0)):
        uploader.get_file_size = lambda length=length: length
        with refused(status):
            uploader.create_url()

    assert rack.api("/api/v1/uploads") == []


def test_a_full_disk_refuses_bytes_and_the_upload_continues_when_there_is_space(
    rack: Rack, uploading: Callable[..., Any], tmp_path: Path
):
    uploads = rack.directory / "content/.uploads"
    uploads.mkdir(exist_ok=True)
    rack.kill()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", uploads], check=True)
    try:
        rack.start()
        uploader = uploading(bytes(64 * PIECE_BYTES), kind="iso")
        uploader.upload_chunk()
        filler = uploads / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], stderr=subprocess.DEVNULL, check=False)

        with refused(507):
            while True:
                uploader.upload_chunk()
        filler.unlink()
        offset = uploader.get_offset()
        assert PIECE_BYTES <= offset < 64 * PIECE_BYTES
        uploader.offset = offset
        uploader.upload()

        assert end_of(rack, uploader)["state"] == "failed"  # zeros are no ISO
    finally:
        rack.kill()
        subprocess.run(["umount", uploads], check=True)


def test_the_program_in_the_documentation_sends_an_archive(
    rack: Rack,
    uploading: Callable[..., Any],
    archive: bytes,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    page = (Path(__file__).resolve().parents[2] / "docs/content.md").read_text()
    program = page.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "ock-1.31-amd64-ostree.tar").write_bytes(archive)
    monkeypatch.chdir(tmp_path)
    variables: dict[str, Any] = {}

    exec(program.replace('ock-1.31-amd64"', 'ock-documented"'), variables)

    (upload,) = rack.api("/api/v1/uploads")
    assert Curl(rack).end_of(upload)["result"]["name"] == "ock-documented"
