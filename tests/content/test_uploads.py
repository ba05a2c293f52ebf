"""Uploads on disk: which begin, continue or are refused; a full disk."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from netboot.content.library.uploads import Upload, UploadError, UploadKind, UploadRequest, Uploads, UploadState

ID = "0" * 32
NOW = "2026-11-21T00:00:00+00:00"


def test_a_full_disk_is_reported_with_its_cure_and_the_received_bytes_stay(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.begin(UploadRequest(UploadKind.ISO, 10), id_=ID, now=NOW)
    uploads.data(upload).unlink()
    uploads.data(upload).symlink_to("/dev/full")

    with (
        pytest.raises(UploadError, match=f"cannot write below {tmp_path}: No space left on device; .* gc") as raised,
        uploads.receiving(ID, 0, announced=4) as receiver,
    ):
        receiver.write(b"four")

    assert raised.value.status == 507
    assert uploads.get(ID).offset == 0


def test_an_upload_that_could_not_begin_leaves_nothing(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    (tmp_path / ".uploads" / ID / "upload.json.new").mkdir(parents=True)
    (tmp_path / ".uploads").rename(tmp_path / "not a directory")
    (tmp_path / ".uploads").write_text("")

    with pytest.raises(UploadError) as raised:
        uploads.begin(UploadRequest(UploadKind.ISO, 10), id_=ID, now=NOW)

    assert raised.value.status == 500
    assert uploads.all() == []


def begun(uploads: Uploads, length: int = 10) -> Upload:
    return uploads.begin(UploadRequest(UploadKind.ISO, length), id_=ID, now=NOW)


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"length": 1}, 400, "the metadata kind must be one of iso, archive, image, images"),
        ({"kind": "floppy", "length": 1}, 400, "the metadata kind must be one of iso, archive, image, images"),
        ({"filename": "notes.txt", "length": 1}, 400, "the metadata kind must be one of iso, archive, image, images"),
        (
            {"kind": "archive", "length": 1},
            400,
            "an archive needs a name, for example ock-1.31-amd64: the file contains none",
        ),
        (
            {"filename": "ock.tar", "length": 1},
            400,
            "an archive needs a name, for example ock-1.31-amd64: the file contains none",
        ),
        (
            {"kind": "image", "length": 1},
            400,
            "an image needs a name, for example ock-1.31-amd64: the file contains none",
        ),
        ({"kind": "images", "length": 1, "image": "Upper:1"}, 400, "'Upper' is not the name of a repository"),
        ({"kind": "iso", "length": 0}, 400, "the length must be the file's size in bytes"),
        (
            {"kind": "iso", "length": (1 << 40) + 1},
            413,
            "1099511627777 bytes are more than an upload may have, 1099511627776",
        ),
        (
            {"kind": "iso", "length": 1, "name": "../x"},
            400,
            "'../x' is not a valid name; use letters, digits, dots, dashes, at most 63, a letter or digit first",
        ),
    ],
)
def test_a_request_that_is_not_valid_is_refused(request_: dict[str, Any], status: int, message: str) -> None:
    length = request_.pop("length")

    with pytest.raises(UploadError) as raised:
        UploadRequest.read(request_, length)

    assert (raised.value.status, str(raised.value)) == (status, message)


def test_an_upload_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UploadError, match=f"^{1 << 40} bytes do not fit: {tmp_path} has ") as raised:
        begun(Uploads(tmp_path), 1 << 40)

    assert raised.value.status == 507


def test_an_upload_goes_on_where_it_was_cut_and_ends_with_its_result(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    begun(uploads)
    with uploads.receiving(ID, 0, announced=None) as receiver:
        receiver.write(b"1234")
    with Uploads(tmp_path).receiving(ID, 4, announced=6) as receiver:  # after a restart
        receiver.write(b"567890")
        receiver.sync()

    upload = uploads.get(ID)
    assert (upload.offset, uploads.data(upload).read_bytes()) == (10, b"1234567890")
    done = uploads.move(uploads.move(upload, UploadState.IMPORTING), UploadState.DONE, result={"name": "ol8"})
    assert uploads.all() == [done]
    expected = Upload(ID, UploadKind.ISO, None, 10, NOW, UploadState.DONE, 10, {"name": "ol8"})
    assert done == replace(expected, expires_at=done.expires_at)
    assert not uploads.data(done).exists()
    with (
        pytest.raises(UploadError, match=r"^the upload is done; begin another$"),
        uploads.receiving(ID, 10, announced=1),
    ):
        pass
    uploads.remove(ID)
    assert uploads.all() == []
    with pytest.raises(UploadError, match=r"^no such upload; ") as raised:
        uploads.get(ID)
    assert raised.value.status == 404


@pytest.mark.parametrize(
    ("offset", "announced", "status", "message"),
    [
        (3, 1, 409, "the offset of the upload is 0, not 3; continue from there"),
        (0, 11, 400, "11 bytes are more than the announced 10"),
    ],
)
def test_bytes_at_another_place_or_beyond_the_end_are_refused(
    tmp_path: Path, offset: int, announced: int, status: int, message: str
) -> None:
    uploads = Uploads(tmp_path)
    begun(uploads)

    with pytest.raises(UploadError) as raised, uploads.receiving(ID, offset, announced=announced):
        pass

    assert (raised.value.status, str(raised.value)) == (status, message)


def test_a_second_writer_is_refused_and_a_used_upload_is_not_removed(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    begun(uploads)

    with uploads.receiving(ID, 0, announced=None) as receiver:
        with (
            pytest.raises(UploadError, match=r"^another client is writing") as second,
            uploads.receiving(ID, 0, announced=None),
        ):
            pass
        with pytest.raises(UploadError, match=r"^the upload is in use; wait for its end$"):
            uploads.remove(ID)
        with pytest.raises(UploadError, match=r"^more bytes were sent than announced"):
            receiver.write(b"12345678901")

    assert second.value.status == 409
    assert uploads.get(ID).offset == 0


def test_an_upload_whose_description_is_damaged_does_not_exist(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    begun(uploads)
    (tmp_path / ".uploads" / ID / "upload.json").write_text('{"kind": "iso"}')

    assert uploads.all() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_uploads_that_may_not_be_read_are_not_taken_for_none() -> None:
    with tempfile.TemporaryDirectory() as directory:
        content = Path(directory)
        content.chmod(0o755)
        Uploads(content).begin(UploadRequest(UploadKind.ISO, 10), id_=ID, now=NOW)
        os.seteuid(1234)
        try:
            with pytest.raises(PermissionError):
                Uploads(content).all()
        finally:
            os.seteuid(0)


def test_moves_of_one_upload_at_the_same_time_are_made_one_after_the_other(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.begin(UploadRequest(UploadKind.ISO, 4), id_="a" * 32, now="2026-11-21T00:00:00")

    with ThreadPoolExecutor(4) as threads:
        moved = list(threads.map(lambda _: uploads.move(upload, UploadState.IMPORTING), range(200)))

    assert {each.state for each in moved} == {UploadState.IMPORTING}


def test_an_upload_that_has_ended_stays_as_it_is(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.begin(UploadRequest(UploadKind.ISO, 4), id_="a" * 32, now="2026-11-21T00:00:00")

    failed = uploads.move(upload, UploadState.FAILED, error="no kernel")

    assert uploads.move(upload, UploadState.IMPORTING) == uploads.get(upload.id)
    assert (uploads.get(upload.id).state, failed.error) == (UploadState.FAILED, "no kernel")


def test_an_unused_upload_and_an_old_outcome_expire_and_a_running_import_does_not(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    unfinished, used, importing, done = (
        uploads.begin(UploadRequest(UploadKind.ISO, 4), id_=letter * 32, now=NOW) for letter in "abcd"
    )
    uploads.move(importing, UploadState.IMPORTING)
    uploads.move(done, UploadState.DONE)
    written = datetime(2026, 11, 1, tzinfo=UTC)
    for upload in (unfinished, used, importing, done):
        for path in uploads.data(upload).parent.iterdir():
            os.utime(path, (written.timestamp(), written.timestamp()))

    assert uploads.get(unfinished.id).expires_at == "2026-11-08T00:00:00+00:00"
    assert uploads.get(done.id).expires_at == "2026-12-01T00:00:00+00:00"
    assert uploads.get(importing.id).expires_at is None
    assert uploads.expire(written + timedelta(days=6)) == []
    with uploads.receiving(used.id, 0, announced=4):
        assert [upload.id for upload in uploads.expire(written + timedelta(days=7))] == [unfinished.id]
    assert {upload.id for upload in uploads.expire(written + timedelta(days=30))} == {used.id, done.id}
    assert [upload.id for upload in uploads.all()] == [importing.id]


def test_the_suffix_of_a_file_selects_the_kind_unless_it_is_named() -> None:
    assert UploadRequest.read({"filename": "OL8.ISO"}, 1) == UploadRequest(UploadKind.ISO, 1)
    assert UploadRequest.read({"filename": "x.tar", "name": "ock"}, 1) == UploadRequest(UploadKind.ARCHIVE, 1, "ock")
    assert UploadRequest.read({"filename": "x.tar", "kind": "iso"}, 1) == UploadRequest(UploadKind.ISO, 1)
    assert UploadRequest.read({"filename": "images.tgz"}, 1) == UploadRequest(UploadKind.IMAGES, 1)
    named = UploadRequest.read({"filename": "ui.tar", "kind": "images", "image": "quay.io/olcne/ui:1.33"}, 1)
    assert named == UploadRequest(UploadKind.IMAGES, 1, image="olcne/ui:1.33")
