"""A finding of the doctor has the whole cure of a fault, which begins behind its last semicolon."""

import errno
import os
from pathlib import Path

import pytest
from reliability.faults import a_disk, read_only

from netboot.app.health.written_directories import WrittenDirectories
from netboot.content.library.disk import cannot_write
from netboot.doctor.configuration.check_report import finding_of
from netboot.doctor.doctor_finding import Level
from netboot.errors import HostsNotWritableError
from netboot.registry.writing.hosts_directory import locked_directory
from netboot.store.failure import disk_fault


def cure(text: str) -> str | None:
    return finding_of("box.daemon", Level.PROBLEM, text).cure


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EXDEV, errno.EIO])
def test_the_cure_of_the_content_directory_is_shown_whole(code: int):
    error = str(cannot_write(Path("/srv"), OSError(code, os.strerror(code))))

    assert f"cannot write below /srv: {os.strerror(code)}; {cure(error)}" == error


@pytest.mark.integration
def test_the_cure_of_a_read_only_disk_is_shown_whole_and_begins_with_its_mount(tmp_path: Path):
    with a_disk(tmp_path / "hosts.d", megabytes=8) as disk:
        written = WrittenDirectories("hosts-files", "hosts", lambda: [disk])
        with read_only(disk):
            with pytest.raises(HostsNotWritableError) as refused, locked_directory(disk) as directory:
                directory.apply({"w1.yaml": "one\n"})
            texts = [str(refused.value), *written.check().reasons, str(disk_fault(disk / "netboot.db"))]

    for text in texts:
        found = finding_of("box.daemon", Level.PROBLEM, text)
        assert found.sentence.endswith(": Read-only file system")
        assert str(found.cure).startswith(
            ("mount it writable, see dmesg, or if ", "mount its file system writable, or ")
        )


def test_the_cure_of_a_missing_directory_is_shown_whole(tmp_path: Path):
    path = tmp_path / "hosts.d"
    with pytest.raises(HostsNotWritableError) as refused, locked_directory(path):
        pass

    assert cure(str(refused.value)) == (
        f"make it: install -d -m 770 -g netboot {path}, then systemctl restart netboot, or without the service: "
        f"mkdir {path}"
    )
