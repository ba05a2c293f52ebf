"""Uploads on disk: what a full disk says, and what it leaves."""

from pathlib import Path

import pytest

from netboot.content.library.uploads import UploadError, Uploads

ID = "0" * 32


def test_a_full_disk_is_reported_with_its_cure_and_the_received_bytes_stay(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.begin({"kind": "iso", "length": 10}, id_=ID, now="2026-11-21T00:00:00+00:00")
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
        uploads.begin({"kind": "iso", "length": 10}, id_=ID, now="2026-11-21T00:00:00+00:00")

    assert raised.value.status == 500
    assert uploads.all() == []
