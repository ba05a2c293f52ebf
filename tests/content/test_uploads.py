"""Uploads in pieces: continued where they stopped, never mixed, whole or not there."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.content.archive_import import import_archive
from netboot.content.library import Kind, Library
from netboot.content.uploads import MOST_UPLOADS, UnknownUploadError, Upload, UploadConflictError, Uploads
from netboot.errors import ContentError

if TYPE_CHECKING:
    Images = Any  # of conftest.py


@pytest.fixture
def ids() -> Iterator[str]:
    return (f"upload-{number:04}" for number in range(100))


@pytest.fixture
def uploads(tmp_path: Path, ids: Iterator[str]) -> Uploads:
    return Uploads(tmp_path / "content", new_id=lambda: next(ids))


def send(uploads: Uploads, upload: Upload, offset: int, data: bytes) -> None:
    with uploads.writing(upload.id, offset) as append:
        append(data)


def test_an_upload_is_continued_where_it_stopped_even_by_another_process(uploads: Uploads, tmp_path: Path) -> None:
    begun = uploads.begin(Kind.RELEASE, "ock.tar", 10, name="ock-1", checksum="sha256:00")
    send(uploads, begun, 0, b"01234")

    after_restart = Uploads(tmp_path / "content", new_id=lambda: "never")

    assert after_restart.all() == [
        Upload("upload-0000", Kind.RELEASE, "ock-1", "ock.tar", 10, "sha256:00", offset_bytes=5)
    ]
    send(after_restart, begun, 5, b"56789")
    assert after_restart.find(begun.id).is_complete
    assert after_restart.complete_file(begun.id).read_bytes() == b"0123456789"
    assert after_restart.complete_file(begun.id).name == "ock.tar"


def test_another_place_is_refused_and_the_right_one_said(uploads: Uploads) -> None:
    begun = uploads.begin(Kind.RELEASE, "ock.tar", 10)
    send(uploads, begun, 0, b"01234")

    for offset in (0, 4, 6, 10, 11):
        with pytest.raises(UploadConflictError, match="stands at 5 of 10 bytes; continue there") as refused:
            send(uploads, begun, offset, b"x")
        assert refused.value.offset_bytes == 5


def test_two_writers_cannot_mix(uploads: Uploads) -> None:
    begun = uploads.begin(Kind.RELEASE, "ock.tar", 10)

    with uploads.writing(begun.id, 0) as append:
        append(b"ours-")
        with pytest.raises(UploadConflictError, match="somebody else sends"):
            send(uploads, begun, 5, b"theirs")

    send(uploads, begun, 5, b"after")
    assert uploads.complete_file(begun.id).read_bytes() == b"ours-after"


def test_what_was_sent_before_a_connection_broke_counts(uploads: Uploads) -> None:
    begun = uploads.begin(Kind.RELEASE, "ock.tar", 10)

    def send_and_break() -> None:
        with uploads.writing(begun.id, 0) as append:
            append(b"012")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        send_and_break()

    assert uploads.find(begun.id).offset_bytes == 3


def test_more_than_was_announced_is_refused(uploads: Uploads) -> None:
    begun = uploads.begin(Kind.RELEASE, "ock.tar", 3)

    with pytest.raises(ContentError, match="has 3 bytes, and more are sent"):
        send(uploads, begun, 0, b"0123")
    assert uploads.find(begun.id).offset_bytes == 0


def test_half_an_upload_is_no_file(uploads: Uploads) -> None:
    begun = uploads.begin(Kind.RELEASE, "ock.tar", 3)
    send(uploads, begun, 0, b"01")

    with pytest.raises(ContentError, match="has 2 of 3 bytes; send the rest first"):
        uploads.complete_file(begun.id)


def test_what_is_discarded_is_gone(uploads: Uploads) -> None:
    begun = uploads.begin(Kind.RELEASE, "ock.tar", 3)

    uploads.discard(begun.id)

    assert uploads.all() == []
    with pytest.raises(UnknownUploadError):
        uploads.discard(begun.id)


def test_too_many_and_too_large_are_refused(uploads: Uploads) -> None:
    with pytest.raises(ContentError, match=r"needs .* GB in .* are free"):
        uploads.begin(Kind.RELEASE, "ock.tar", 1 << 60)
    with pytest.raises(ContentError, match="say its size"):
        uploads.begin(Kind.RELEASE, "ock.tar", 0)
    for _ in range(MOST_UPLOADS):
        uploads.begin(Kind.RELEASE, "ock.tar", 1)
    with pytest.raises(ContentError, match="finish or delete one"):
        uploads.begin(Kind.RELEASE, "ock.tar", 1)


@given(upload_id=st.text(max_size=80))
def test_an_id_leads_nowhere_else(tmp_path_factory: pytest.TempPathFactory, upload_id: str) -> None:
    uploads = Uploads(tmp_path_factory.getbasetemp() / "nothing", new_id=lambda: "never")

    with pytest.raises(UnknownUploadError):
        uploads.find(upload_id)
    with pytest.raises(UnknownUploadError):
        uploads.find("../" + upload_id)


def test_a_file_name_leads_nowhere_else(uploads: Uploads, tmp_path: Path) -> None:
    begun = uploads.begin(Kind.MEDIUM, "../../../etc/passwd", 1)
    send(uploads, begun, 0, b"x")

    assert uploads.complete_file(begun.id) == tmp_path / "content" / ".uploads" / begun.id / "named" / "passwd"


def test_an_upload_ends_in_the_same_import(
    uploads: Uploads, images: "Images", small_archive: Path, tmp_path: Path
) -> None:
    archive = images.write(images.oci_blobs([images.layer(images.repository(small_archive))]))
    data = archive.read_bytes()
    begun = uploads.begin(Kind.RELEASE, archive.name, len(data))
    send(uploads, begun, 0, data[:500_000])
    send(uploads, begun, 500_000, data[500_000:])

    imported = import_archive(
        Library(tmp_path / "content"), uploads.complete_file(begun.id), now=datetime(2026, 11, 21, tzinfo=UTC)
    )
    uploads.discard(begun.id)

    assert imported.name == "ock-1.31-amd64"
    record = json.loads((tmp_path / "content" / "ostree" / imported.name / ".netboot.json").read_text())
    assert record["source"] == "ock-1.31-amd64-ostree.tar"
