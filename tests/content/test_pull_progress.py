"""How far a pull is, by the objects and delta parts that a machine requests."""

from pathlib import Path

import pytest

from netboot.content.ostree.object_table import ObjectTable, pack
from netboot.content.ostree.repository import read_release
from netboot.content.serving.pull_progress import PullProgress
from netboot.content.serving.trees import ReleaseTree


def progress_of(content: Path) -> PullProgress:
    tree = ReleaseTree.read(content, "ock-1")
    assert tree is not None
    return PullProgress(tree, read_release(content, "ock-1").object_count)


@pytest.fixture
def objects(content_directory: Path) -> list[str]:
    repo = content_directory / "ostree" / "ock-1"
    return sorted(str(path.relative_to(repo)) for path in (repo / "objects").rglob("*.*"))


def test_progress_rises_to_a_hundred_only_with_the_last_object(content_directory: Path, objects: list[str]) -> None:
    progress = progress_of(content_directory)

    percents = [progress.record_request(member, 1) for member in objects]

    assert percents == sorted(percents)
    assert percents[-2:] == [99, 100]


def test_progress_counts_an_object_once_and_nothing_else(content_directory: Path, objects: list[str]) -> None:
    progress = progress_of(content_directory)
    half = objects[: len(objects) // 2]

    for member in [*half, *half, "config", "refs/heads/ock", f"objects/ab/{'cd' * 31}.filez", "objects", ""]:
        progress.record_request(member, 1)

    assert progress.percent == len(half) * 100 // len(objects)


def test_objects_that_the_ref_does_not_reach_never_count_beyond_a_hundred(tmp_path: Path) -> None:
    keys = [bytes((n,)) * 32 + b"\x04" for n in range(4)]
    tree = ReleaseTree(
        "ock", tmp_path, tmp_path, objects=ObjectTable([pack([(key, 1, 1, 1)]) for key in keys] + [b""] * 252)
    )
    progress = PullProgress(tree, 2)

    members = [f"objects/{n:02x}/{f'{n:02x}' * 31}.filez" for n in range(4)]

    assert [progress.record_request(member, 1) for member in members] == [50, 100, 100, 100]


def test_a_pull_by_delta_is_counted_by_its_bytes(tmp_path: Path):
    delta = tmp_path / "ostree" / "ock" / "deltas" / "ab" / "cdef"
    delta.mkdir(parents=True)
    for name, size_bytes in (("superblock", 100), ("0", 400), ("1", 500)):
        (delta / name).write_bytes(bytes(size_bytes))
    tree = ReleaseTree("ock", tmp_path / "ostree" / "ock", tmp_path)
    progress = PullProgress(tree, 1)

    requests = (("superblock", 100), ("0", 400), ("0", 400), ("1", 500))

    assert [progress.record_request(f"deltas/ab/cdef/{name}", size) for name, size in requests] == [10, 50, 50, 100]


def test_requests_before_the_release_was_walked_are_counted(content_directory: Path, objects: list[str]) -> None:
    tree = ReleaseTree.read(content_directory, "ock-1")
    assert tree is not None
    progress = PullProgress(tree)

    before = [progress.record_request(member, 1) for member in objects[:-1]]
    progress.object_count = len(objects)

    assert set(before) == {0}
    assert progress.percent == (len(objects) - 1) * 100 // len(objects)
    assert progress.record_request(objects[-1], 1) == 100
