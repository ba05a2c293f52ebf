"""The compact table of an archive's objects gives back what was put in, and is read from the index of the import."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.content.ostree.object_table import INDEX, ObjectStat, ObjectTable, is_as_imported, pack, write_index

_numbers = st.integers(0, 2**64 - 1)
_keys = st.builds(lambda digest, kind: digest + bytes((kind,)), st.binary(min_size=32, max_size=32), st.integers(1, 4))
# digests of one repeated byte provoke finds across the border of two records
_crowded = st.builds(
    lambda a, b, kind: bytes((a,)) * 31 + bytes((b, kind)), *[st.integers(0, 2)] * 2, st.integers(1, 2)
)
DIGEST = "ab" + "cd" * 31


def table_of(objects: Iterable[tuple[bytes, int, int, int]]) -> ObjectTable:
    listed = list(objects)
    return ObjectTable([pack(each for each in listed if each[0][0] == number) for number in range(256)])


@given(st.dictionaries(st.one_of(_keys, _crowded), st.tuples(_numbers, _numbers, _numbers), max_size=60))
def test_every_object_is_found_with_its_stat_and_an_ordinal_of_its_own(
    objects: dict[bytes, tuple[int, int, int]],
) -> None:
    table = table_of((key, *stat) for key, stat in objects.items())

    found = {key: table.find(key) for key in objects}

    assert len(table) == len(objects)
    assert {stat.ordinal for stat in found.values() if stat} == set(range(len(objects)))
    assert found == {key: ObjectStat(found[key].ordinal, *stat) for key, stat in objects.items()}  # type: ignore[union-attr]


@given(st.sets(st.one_of(_keys, _crowded), max_size=30), st.one_of(_keys, _crowded))
def test_what_is_not_in_the_table_is_not_found(keys: set[bytes], unknown: bytes) -> None:
    table = table_of((key, 1, 2, 3) for key in keys)

    assert (table.find(unknown) is not None) == (unknown in keys)


def test_a_table_of_fifty_thousand_objects_takes_three_megabytes() -> None:
    table = ObjectTable([pack((bytes((n,)) * 32 + b"\x04", k, k, k) for k in range(196)) for n in range(256)])

    assert len(table) > 50_000
    assert sum(len(bucket) for bucket in table._buckets) < 3_000_000


def key_of(path: Path) -> bytes:
    return bytes.fromhex(path.parent.name + path.stem) + bytes(
        ({"commit": 1, "dirtree": 2, "dirmeta": 3, "filez": 4}[path.suffix[1:]],)
    )


@pytest.fixture
def archive(content_directory: Path) -> Path:
    return content_directory / "ostree" / "ock-1"


def read(archive: Path) -> tuple[dict[str, ObjectStat | None], list[str]]:
    """Read a table; give what it has of each object on disk."""
    problems: list[str] = []
    table = ObjectTable.read(archive, problems)
    paths = sorted(archive.glob("objects/??/*.*"))
    assert len(table) == sum(path.is_file() for path in paths)
    return {str(path.relative_to(archive)): table.find(key_of(path)) for path in paths}, problems


def on_disk(archive: Path) -> dict[str, tuple[int, int, int]]:
    statuses = {path: path.stat() for path in sorted(archive.glob("objects/??/*.*"))}
    return {str(path.relative_to(archive)): (s.st_size, s.st_mtime_ns, s.st_ino) for path, s in statuses.items()}


def test_a_table_is_the_same_with_the_index_and_without(archive: Path) -> None:
    listed, problems = read(archive)
    write_index(archive)

    assert problems == []
    assert read(archive) == (listed, [])
    assert {name: stat[1:] for name, stat in listed.items() if stat} == on_disk(archive)


def test_only_a_directory_that_changed_is_listed_again(archive: Path) -> None:
    write_index(archive)
    (changed, *_, kept) = sorted(archive.glob("objects/??/*.filez"))
    kept.write_bytes(b"in place: the directory has no trace of it")
    (changed.parent / f"{DIGEST[2:]}.filez").write_bytes(b"new")
    changed.rename(changed.with_suffix(".gone"))
    table = ObjectTable.read(archive, [])

    assert table.find(key_of(changed)) is None
    assert table.find(bytes.fromhex(changed.parent.name + DIGEST[2:]) + b"\x04") is not None
    assert table.find(key_of(kept)) is not None
    assert table.find(key_of(kept))[1] != kept.stat().st_size  # type: ignore[index]


def test_an_archive_is_as_imported_until_an_object_comes_or_goes(archive: Path) -> None:
    assert not is_as_imported(archive)
    write_index(archive)
    assert is_as_imported(archive)
    assert not is_as_imported(shutil.copytree(archive, archive.with_name("copy")))

    next(archive.glob("objects/??/*.filez")).unlink()

    assert not is_as_imported(archive)


@pytest.mark.parametrize("damage", [b"", b"netboot objects 1\n", b"netboot objects 2\n" + bytes(100_000)])
def test_a_damaged_index_is_not_used(archive: Path, damage: bytes) -> None:
    listed, _ = read(archive)
    (archive / INDEX).write_bytes(damage)

    assert read(archive) == (listed, [])
    assert not is_as_imported(archive)


def test_a_cut_off_index_is_not_used(archive: Path) -> None:
    write_index(archive)
    os.truncate(archive / INDEX, (archive / INDEX).stat().st_size - 1)

    assert not is_as_imported(archive)


def test_an_object_that_is_no_regular_file_is_a_problem(archive: Path) -> None:
    directory = next(archive.glob("objects/??"))
    link = directory / f"{DIGEST[2:]}.filez"
    link.symlink_to("/etc/hostname")

    problems: list[str] = []
    table = ObjectTable.read(archive, problems)

    assert problems == [f"{link} is not served: it is not a regular file; copy the release again"]
    assert table.find(bytes.fromhex(directory.name + DIGEST[2:]) + b"\x04") is None
