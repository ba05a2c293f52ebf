"""A record is read only in the form that an import writes; another file may have been copied in with a medium."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from netboot.content.library.record import NAME, Record

RECORD = Record(
    source="download.iso",
    source_digest="sha256:" + "0" * 64,
    imported_at="2026-11-28T12:00:00+00:00",
    files={"vmlinuz": "1" * 64, "images/install.img": "2" * 64},
    size_bytes=10,
)


def test_a_written_record_is_read(tmp_path: Path):
    RECORD.write(tmp_path)

    assert Record.read(tmp_path) == RECORD


def test_a_record_of_an_earlier_version_is_read_with_defaults(tmp_path: Path):
    written = asdict(RECORD)
    del written["content_digest"]
    (tmp_path / NAME).write_text(json.dumps(written))

    assert Record.read(tmp_path) == replace(RECORD, content_digest="")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "[" * 100_000,
        "{}",
        *(
            json.dumps(asdict(RECORD) | wrong)
            for wrong in (
                {"source": 1},
                {"imported_at": "yesterday"},
                {"size_bytes": "many"},
                {"object_count": True},
                {"commit": None},
                {"files": ["vmlinuz"]},
                {"files": {"vmlinuz": 5}},
                {"files": {"../../other": "1" * 64}},
                {"files": {"/etc/shadow": "1" * 64}},
            )
        ),
    ],
)
def test_an_invalid_record_is_ignored(tmp_path: Path, text: str):
    (tmp_path / NAME).write_text(text)

    assert Record.read(tmp_path) is None
