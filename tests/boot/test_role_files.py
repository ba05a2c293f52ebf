"""When a file of a role was taken, and until when its secrets are valid."""

import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.role_files import CERTIFICATE_KEY, SAMPLES, TOKEN, altered
from hypothesis import given
from hypothesis import strategies as st

from netboot.boot.documents.role_files import MOST_KNOWN, RoleFileRead, RoleFiles, TakenRecord, record_path
from netboot.model.host.role_ignition import Deadline, RoleUse, SecretKind

WRITTEN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TAKEN = WRITTEN + timedelta(days=3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a further control plane."""
    path = tmp_path / "cp.ign"
    path.write_bytes((SAMPLES / "controlplane-join.ign").read_bytes())
    os.utime(path, (WRITTEN.timestamp(), WRITTEN.timestamp()))
    return path


def test_without_a_record_the_modification_time_counts_which_is_an_estimate(file: Path):
    read = RoleFiles().read(file)

    assert (read.taken_at, read.is_estimate, read.file.use) == (WRITTEN, True, RoleUse.CONTROL_PLANE)
    assert read.deadlines == (
        Deadline(SecretKind.BOOTSTRAP, WRITTEN, WRITTEN + timedelta(hours=24), True),
        Deadline(SecretKind.CERTIFICATE_KEY, WRITTEN, WRITTEN + timedelta(hours=2), True),
    )


@pytest.mark.parametrize(
    ("after", "fault"),
    [
        (timedelta(hours=2) - timedelta(microseconds=1), None),
        (
            timedelta(hours=2),
            "the certificate key in {path} ended at 2026-11-21 14:00 UTC, 2 h after the file was written; "
            "run ocne cluster join -c byo.yaml -n 1 > FILE and the commands that it prints, "
            "then netboot cluster ignition set control-plane FILE (--renewed if only the commands were run again)",
        ),
    ],
)
def test_a_file_is_not_served_from_the_moment_on_at_which_its_first_secret_ends(
    file: Path, after: timedelta, fault: str | None
):
    assert RoleFiles().read(file).fault(WRITTEN + after) == (fault and fault.format(path=file))


def test_of_a_file_that_changes_all_the_time_the_newest_contents_are_remembered(file: Path):
    files, content = RoleFiles(), file.read_bytes()
    sample = files.read(file)
    for number in range(MOST_KNOWN - 1):
        file.write_bytes(content + b"\n" * (number + 1))
        files.read(file)

    assert verified_again(files, file, content, sample) is False
    file.write_bytes(b"\n" + content)
    files.read(file)
    assert verified_again(files, file, content, sample) is True


def verified_again(files: RoleFiles, file: Path, content: bytes, before: RoleFileRead) -> bool:
    file.write_bytes(content)
    return files.read(file).file is not before.file


def test_a_file_of_the_first_node_has_no_secret_that_ends(tmp_path: Path):
    (tmp_path / "init.ign").write_bytes((SAMPLES / "init.ign").read_bytes())

    read = RoleFiles().read(tmp_path / "init.ign")

    assert (read.deadlines, read.fault(datetime(2036, 1, 1, tzinfo=UTC))) == ((), None)


def recorded(file: Path, *, sha256: str | None = None) -> TakenRecord:
    read = RoleFiles().read(file)
    record = TakenRecord(sha256 or hashlib.sha256(read.content).hexdigest(), TAKEN, b"salt")
    since = {record.fingerprint(kind, digest): TAKEN for kind, digest in read.file.secrets.items()}
    record = TakenRecord(record.sha256, TAKEN, b"salt", since)
    record_path(file).write_text(record.as_text())
    return record


def test_a_record_of_the_file_has_the_time_at_which_it_was_taken(file: Path):
    record = recorded(file)
    read = RoleFiles().read(file)

    assert TakenRecord.parse(record.as_text()) == record
    assert (read.taken_at, read.is_estimate) == (TAKEN, False)
    assert [each.at for each in read.deadlines] == [TAKEN + timedelta(hours=24), TAKEN + timedelta(hours=2)]
    text = record_path(file).read_text()
    assert all(secret not in text for secret in (TOKEN, CERTIFICATE_KEY))


def test_a_record_of_another_file_does_not_count(file: Path):
    recorded(file, sha256="0" * 64)

    assert RoleFiles().read(file).is_estimate


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"sha256": 1, "taken_at": 2, "salt": 3, "since": 4}', "[" * 9999]
)
def test_a_record_that_cannot_be_read_does_not_count(file: Path, text: str):
    record_path(file).write_text(text)

    assert RoleFiles().read(file).is_estimate


@given(st.text())
def test_no_record_raises_another_error_than_value_error(text: str):
    with suppress(ValueError):
        TakenRecord.parse(text)


def test_a_file_that_was_replaced_is_read_again(file: Path):
    files = RoleFiles()
    before = files.read(file)
    file.write_bytes(altered("controlplane-join.ign", {CERTIFICATE_KEY: "ab" * 32}))

    after = files.read(file)

    assert before.file.secrets[SecretKind.BOOTSTRAP] == after.file.secrets[SecretKind.BOOTSTRAP]
    assert before.file.secrets[SecretKind.CERTIFICATE_KEY] != after.file.secrets[SecretKind.CERTIFICATE_KEY]


def test_a_file_that_is_too_large_to_be_compared_with_the_cluster_is_not_served_either(tmp_path: Path):
    path = tmp_path / "cp.ign"
    path.write_bytes((SAMPLES / "worker-join.ign").read_bytes().rstrip() + b" " * 4 * 1024 * 1024)

    with pytest.raises(OSError, match=r"it is larger than 4 MiB: '.*/cp\.ign'"):
        RoleFiles().read(path)


def test_a_fifo_in_place_of_the_file_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "cp.ign")

    with pytest.raises(OSError, match="it is not a regular file"):
        RoleFiles().read(tmp_path / "cp.ign")


def test_a_file_is_read_again_if_it_or_its_record_was_replaced_and_else_not(file: Path):
    files = RoleFiles()
    first = files.read_if_changed(file)
    assert (first.content, first.deadlines) == (b"", RoleFiles().read(file).deadlines)
    assert files.read_if_changed(file) is first

    record_path(file).write_text(TakenRecord(hashlib.sha256(file.read_bytes()).hexdigest(), TAKEN, b"salt").as_text())
    assert files.read_if_changed(file).taken_at == TAKEN

    file.write_bytes((SAMPLES / "worker-join.ign").read_bytes())
    assert files.read_if_changed(file).file.use is RoleUse.WORKER
    file.unlink()
    with pytest.raises(FileNotFoundError):
        files.read_if_changed(file)
