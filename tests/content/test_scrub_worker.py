"""The reader of the scrub names each damaged file of a real archive and of plain files."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures.files import fill_content

from netboot.content.library.disk import sha256
from netboot.content.library.record import Record
from netboot.content.ostree.object_table import DIRECTORIES
from netboot.content.scrub.scrub_worker import MISSING, checked_objects, file_fault, missing_objects

NAME = "ock-1.31-amd64"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    fill_content(tmp_path)
    return tmp_path / "ostree" / NAME


def objects(release: Path, suffix: str) -> list[Path]:
    return sorted((release / "objects").glob(f"*/*.{suffix}"))


def all_faults(release: Path) -> dict[str, str]:
    found = missing_objects(release, NAME)
    for directory in DIRECTORIES:
        found |= checked_objects(release, directory)[0]
    return found


def test_a_sound_release_has_no_fault_and_every_byte_was_read(release: Path):
    size_bytes = sum(checked_objects(release, directory)[1] for directory in DIRECTORIES)

    assert all_faults(release) == {}
    assert size_bytes == sum(path.stat().st_size for path in (release / "objects").rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["commit", "dirtree", "dirmeta", "filez"])
def test_every_flipped_cut_and_missing_object_is_named(release: Path, kind: str):
    damaged, missing = objects(release, kind)[0], objects(release, "filez")[-1]
    member = damaged.relative_to(release).as_posix()
    data = damaged.read_bytes()
    found = []
    for new in (data[:-1] + bytes([data[-1] ^ 1]), data[: len(data) // 2]):
        damaged.write_bytes(new)
        found.append(member in all_faults(release))
    damaged.write_bytes(data)
    missing.unlink()

    assert found == [True, True]
    assert all_faults(release) == {missing.relative_to(release).as_posix(): MISSING}


def test_a_ref_that_names_no_commit_or_is_lacking_is_named_and_the_others_are_followed(release: Path):
    heads, missing = release / "refs/heads", objects(release, "filez")[-1]
    missing.unlink()
    member = missing.relative_to(release).as_posix()
    (heads / "other").write_text("no commit\n")
    commit = (heads / "ock").read_text().strip()
    with_other = missing_objects(release, NAME)
    (heads / "other").unlink()
    (heads / "ock").unlink()
    without_record = missing_objects(release, NAME)
    Record("a.tar", "", "2026-11-30T00:00:00+00:00", ref="ock", commit=commit).write(release)

    assert with_other == {
        "refs/heads/other": "it has not the checksum of a commit, or cannot be read",
        member: MISSING,
    }
    assert without_record == {}
    assert missing_objects(release, NAME) == {"refs/heads/ock": MISSING}


def test_a_file_is_compared_with_its_digest_and_read_no_faster_than_the_rate(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(bytes(3 << 20))
    began_s = time.monotonic()

    sound = file_fault(path, sha256(path), rate=10 << 20)

    assert sound == ("", 3 << 20)
    assert time.monotonic() - began_s >= 0.3
    assert file_fault(path, "0" * 64)[0] == f"its bytes have the checksum {sha256(path)}"
    assert file_fault(tmp_path / "none", "0" * 64) == (MISSING, 0)
    assert file_fault(tmp_path, "0" * 64)[0] == "it cannot be read: Is a directory"


def test_the_process_answers_each_line_at_idle_priority(release: Path):
    requests: list[dict[str, Any]] = [
        {"root": str(release), "release": NAME},
        {"root": str(release), "directory": "00"},
        {"root": str(release), "files": {"config": "0" * 64}, "rate": 0},
        {"root": str(release / "none"), "release": NAME},
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "netboot.content.scrub.scrub_worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        answers = []
        for request in requests:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        nice = os.getpriority(os.PRIO_PROCESS, process.pid)
        io_class = subprocess.run(["ionice", "-p", str(process.pid)], capture_output=True, text=True, check=True).stdout
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=10)

    assert answers[0] == {"faults": {}, "size_bytes": 0}
    assert answers[1]["faults"] == {}
    assert "checksum" in answers[2]["faults"]["config"]
    assert answers[3] == {"faults": {}, "size_bytes": 0}
    assert nice == 19
    assert io_class.strip() == "idle"
