"""Files of the directory are written as a whole or not at all, also if the writer is killed or the disk is full."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.open_directories import let_every_user_enter

from netboot.errors import HostsNotWritableError
from netboot.registry.writing import hosts_directory
from netboot.registry.writing.hosts_directory import locked_directory

NOBODY = 65534
# Writes two texts in turn until it is killed.
WRITER = """\
import sys
from pathlib import Path
from netboot.registry.writing.hosts_directory import locked_directory
texts = [letter * 1_000_000 for letter in "ab"]
print("ready", flush=True)
while True:
    for text in texts:
        with locked_directory(Path(sys.argv[1])) as directory:
            directory.apply({"w1.yaml": text})
"""


def write(directory: Path, **files: str | None) -> None:
    with locked_directory(directory) as opened:
        opened.apply({f"{name}.yaml": text for name, text in files.items()})


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_files_are_written_and_deleted_and_no_draft_remains(tmp_path: Path):
    write(tmp_path, w1="one\n", w2="two\n")
    write(tmp_path, w1=None, w2="other\n")

    assert (names(tmp_path), (tmp_path / "w2.yaml").read_text()) == (["w2.yaml"], "other\n")


def test_a_file_has_the_group_of_its_directory_and_a_mode_that_no_umask_changes(tmp_path: Path):
    if os.geteuid() == 0:
        os.chown(tmp_path, -1, 4242)
    before = os.umask(0o077)
    try:
        write(tmp_path, w1="one\n")
    finally:
        os.umask(before)

    written, directory = (tmp_path / "w1.yaml").stat(), tmp_path.stat()
    assert (written.st_mode & 0o777, written.st_gid, written.st_uid) == (0o640, directory.st_gid, directory.st_uid)


def test_a_writer_that_is_killed_at_any_time_leaves_one_whole_text_and_no_lock(tmp_path: Path):
    for delay_s in (0.0, 0.003, 0.011, 0.027, 0.05):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05 + delay_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()

        assert (tmp_path / "w1.yaml").read_text() in {"a" * 1_000_000, "b" * 1_000_000}
        assert set(names(tmp_path)) <= {"w1.yaml", ".netboot-draft"}
    write(tmp_path, w1="after\n")
    assert (names(tmp_path), (tmp_path / "w1.yaml").read_text()) == (["w1.yaml"], "after\n")


def test_a_link_in_the_place_of_the_draft_or_the_file_is_replaced_and_its_target_is_not_changed(tmp_path: Path):
    target, directory = tmp_path / "target", tmp_path / "hosts.d"
    target.write_text("target\n")
    directory.mkdir()
    (directory / ".netboot-draft").symlink_to(target)
    (directory / "w1.yaml").symlink_to(target)

    write(directory, w1="one\n")

    assert (target.read_text(), (directory / "w1.yaml").read_text()) == ("target\n", "one\n")
    assert not (directory / "w1.yaml").is_symlink()


def test_if_one_file_cannot_be_written_the_others_are_as_before(tmp_path: Path):
    write(tmp_path, w1="one\n")
    (tmp_path / "w3.yaml").mkdir()

    with pytest.raises(HostsNotWritableError) as refused:
        write(tmp_path, w1="changed\n", w2="two\n", w3="three\n")

    assert (tmp_path / "w1.yaml").read_text() == "one\n"
    assert names(tmp_path) == ["w1.yaml", "w3.yaml"]
    assert str(refused.value) == f"cannot write in {tmp_path}: Is a directory; correct this, then try again"


def test_a_missing_directory_is_named_with_the_command_that_makes_it(tmp_path: Path):
    path = tmp_path / "hosts.d"

    with pytest.raises(HostsNotWritableError) as refused:
        write(path, w1="one\n")

    assert str(refused.value) == (
        f"cannot write in {path}: No such file or directory; make it: install -d -m 770 -g netboot {path}, "
        f"then systemctl restart netboot, or without the service: mkdir {path}"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_user_without_the_right_gets_the_commands_that_give_it(tmp_path: Path):
    tmp_path.chmod(0o555)
    let_every_user_enter(tmp_path.parent)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(HostsNotWritableError) as refused:
            write(tmp_path, w1="one\n")
    finally:
        os.seteuid(0)
        os.setegid(0)

    assert str(refused.value) == (
        f"cannot write in {tmp_path}: Permission denied; run with sudo, or join group netboot, "
        f"or if the service may not: chgrp netboot {tmp_path} && chmod 770 {tmp_path}"
    )


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mount needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_leaves_every_file_as_it_was(small: Path):
    write(small, w1="one\n")

    with pytest.raises(HostsNotWritableError) as refused:
        write(small, w2="two\n", w1="x" * 100_000)

    assert [(path.name, path.read_text()) for path in small.iterdir()] == [("w1.yaml", "one\n")]
    assert str(refused.value) == f"cannot write in {small}: No space left on device; free some space"


def test_a_read_only_file_system_is_mounted_first_and_then_the_setting_of_the_unit_is_named(small: Path):
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)

    with pytest.raises(HostsNotWritableError) as refused:
        write(small, w1="one\n")

    assert str(refused.value) == (
        f"cannot write in {small}: Read-only file system; mount it writable, see dmesg, or if only the service sees it "
        f"read-only: systemctl edit netboot, add [Service] ReadWritePaths={small} unless the unit has it, and "
        "systemctl restart netboot"
    )


def test_a_directory_that_another_command_holds_is_refused_after_some_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hosts_directory, "LOCK_S", 0.1)

    with locked_directory(tmp_path), pytest.raises(HostsNotWritableError) as refused:
        write(tmp_path, w1="one\n")

    assert str(refused.value) == f"cannot change {tmp_path}: another command has changed it for 0 s; try again"
