"""Space, inodes and read-only mounts, on file systems that a test mounts."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from doctor.box.conftest import Computer

from netboot.doctor.box.box_inputs import BoxInputs
from netboot.doctor.box.disk_checks import check_disks
from netboot.doctor.doctor_finding import Level

pytestmark = pytest.mark.integration


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[Path]:
    directory.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], check=True, timeout=10)
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True, timeout=10)


def inputs(computer: Computer, *, store: Path | None = None, content: Path | None = None) -> BoxInputs:
    path = (store or computer.root) / "netboot.db"
    return computer.inputs(
        settings=f"store: {{url: sqlite+aiosqlite:///{path}}}\n"
        f"content: {{directory: {content or computer.root}}}\n"
        f"records: {{directory: {computer.root}/records}}\n"
    )


def test_disks_with_space_are_no_finding(computer: Computer):
    assert list(check_disks(inputs(computer))) == []


def test_a_full_disk_of_the_store_is_a_problem_and_space_cures_it(computer: Computer):
    with mounted(computer.root / "small", "size=300m") as directory:
        with (directory / "file").open("wb") as file:
            file.truncate(0)
        subprocess.run(["fallocate", "-l", "290M", str(directory / "file")], check=True, timeout=10)
        [finding] = check_disks(inputs(computer, store=directory))
        (directory / "file").unlink()
        cured = list(check_disks(inputs(computer, store=directory)))

    assert (finding.check, finding.level) == ("box.disks", Level.PROBLEM)
    assert f"{directory} (the store) has 10.5 MB of free space: no boot" in finding.sentence
    assert finding.evidence[0].startswith(f"{directory}: 10.5 MB of 314.6 MB free")
    assert cured == []


def test_a_content_without_inodes_is_a_warning(computer: Computer):
    with mounted(computer.root / "few", "size=2g,nr_inodes=100") as directory:
        [finding] = check_disks(inputs(computer, content=directory))

    assert finding.level is Level.WARNING
    assert "(content) has 99 free inodes" in finding.sentence


def test_a_read_only_store_is_a_problem_and_the_cure_mends_it(computer: Computer):
    with mounted(computer.root / "closed", "size=300m,ro") as directory:
        [finding] = check_disks(inputs(computer, store=directory))
        assert finding.cure is not None
        subprocess.run(["sh", "-ec", finding.cure.partition(";")[0]], check=True, timeout=10)
        cured = list(check_disks(inputs(computer, store=directory)))

    assert (finding.level, finding.evidence) == (Level.PROBLEM, (f"{directory} is mounted read-only",))
    assert cured == []
