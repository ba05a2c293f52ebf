"""An error of the disk is a sentence with its cure, and an HTTP status."""

import errno
import os
from pathlib import Path

import pytest

from netboot.content.library.disk import (
    cannot_read,
    cannot_write,
    explaining_import_errors,
    http_status,
    megabytes,
    nearest_existing,
    sync_file_system,
    tree_size,
    write_fault,
)
from netboot.errors import ContentError

CONTENT = Path("/srv/netboot")


def error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, "the file system is full: netboot content gc, remove a release, or enlarge it"),
        (errno.EACCES, "run with sudo, or if the daemon cannot write either: chown -R netboot: /srv/netboot"),
        (
            errno.EROFS,
            "mount it writable, see dmesg, or if only the service sees it read-only: systemctl edit netboot, add "
            "[Service] ReadWritePaths=/srv/netboot unless the unit has it, and systemctl restart netboot",
        ),
        (
            errno.EXDEV,
            "media, ostree, .staging and .deltas must be on one file system: mount it at their parent directory",
        ),
        (errno.EIO, "check the disk: dmesg"),
    ],
)
def test_a_failed_write_names_its_cure(code: int, cure: str):
    assert str(cannot_write(CONTENT, error(code))) == f"cannot write below {CONTENT}: {os.strerror(code)}; {cure}"


@pytest.mark.parametrize(
    ("code", "cure"),
    [(errno.EACCES, "let this user read it, or use sudo"), (errno.EIO, "copy it again; see dmesg")],
)
def test_a_failed_read_names_its_cure(code: int, cure: str):
    assert str(cannot_read(Path("/f"), error(code))) == f"cannot read /f: {os.strerror(code)}; {cure}"


@pytest.mark.parametrize(
    ("cause", "status"),
    [(error(errno.ENOSPC), 507), (error(errno.EROFS), 503), (error(errno.EIO), 500), (ValueError(), 500), (None, 500)],
)
def test_an_error_of_the_disk_has_an_http_status(cause: BaseException | None, status: int):
    assert http_status(cause) == status


def test_whatever_a_source_raises_is_one_sentence():
    with pytest.raises(ContentError) as caught, explaining_import_errors(Path("a.tar")):
        raise ValueError("first line\nsecond line")

    assert str(caught.value) == (
        "cannot import a.tar: it is damaged, or netboot has a fault: ValueError: first line; "
        "copy it again and compare its checksum"
    )

    with pytest.raises(ContentError) as caught, explaining_import_errors(Path("a.tar")):
        raise error(errno.EIO)

    assert str(caught.value) == "cannot read a.tar: Input/output error; copy it again; see dmesg"


def test_a_size_counts_each_inode_once(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c").write_bytes(b"1")

    assert tree_size(tmp_path, tmp_path / "below") == 6


@pytest.mark.parametrize(("size_bytes", "shown"), [(1_550_000, "1.6 MB"), (2_345_000_000, "2.35 GB")])
def test_a_size_is_shown_in_its_unit(size_bytes: int, shown: str):
    assert megabytes(size_bytes) == shown


def test_a_directory_that_can_be_made_has_no_fault(tmp_path: Path):
    assert nearest_existing(tmp_path / "a" / "b") == tmp_path
    assert write_fault(tmp_path / "a" / "b") is None


def test_a_read_only_directory_is_named_with_its_cure():
    assert write_fault(Path("/proc/1")) == str(cannot_write(Path("/proc/1"), error(errno.EACCES)))


def test_a_file_system_is_written_to_disk_or_the_error_is_the_callers(tmp_path: Path):
    sync_file_system(tmp_path)

    with pytest.raises(FileNotFoundError):
        sync_file_system(tmp_path / "missing")
