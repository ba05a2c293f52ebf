"""Small boot files come from memory and are compared with the disk; large ones come in pieces."""

import os

import pytest

from netboot.content.bootfiles.bootfile_cache import BUDGET_BYTES, SMALL_BYTES, BootFileCache, LargeFile
from netboot.content.bootfiles.directories import BootFile
from netboot.errors import ContentError


@pytest.fixture
def cache():
    return BootFileCache()


@pytest.fixture
def write(tmp_path):
    def write(content, name="snponly.efi"):
        path = tmp_path / name
        fresh = path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.rename(path)
        return BootFile(path, len(content), name)

    return write


def test_a_small_file_is_read_once_and_fresh_until_it_changes_on_disk(cache, write):
    file = write(b"first")

    assert cache.fresh(file) is None
    assert cache.read(file) == b"first"
    assert cache.fresh(file) == b"first"
    file.path.write_bytes(b"written over")
    assert cache.fresh(file) is None
    assert cache.read(file) == b"written over"
    file.path.unlink()
    assert cache.fresh(file) is None


def test_an_unchanged_file_stays_the_same_object(cache, write):
    file = write(b"first")

    assert cache.read(file) is cache.read(file)


def test_a_replaced_file_is_seen(cache, write):
    cache.read(write(b"first"))

    assert cache.read(write(b"other")) == b"other"
    assert cache.fresh(write(b"third")) is None


def test_an_empty_file_is_a_file(cache, write):
    assert cache.read(write(b"")) == b""


@pytest.mark.parametrize("kind", ["gone", "link", "pipe", "folder"])
def test_a_path_that_is_not_a_regular_file_any_more_is_not_served(cache, write, tmp_path, kind):
    file = write(b"first")
    cache.read(file)
    file.path.unlink()
    match kind:
        case "link":
            file.path.symlink_to("/etc/passwd")
        case "pipe":
            os.mkfifo(file.path)
        case "folder":
            file.path.mkdir()

    with pytest.raises(ContentError, match=r"snponly\.efi.*put it back"):
        cache.read(file)


def test_a_large_file_comes_in_pieces(cache, write):
    content = os.urandom(SMALL_BYTES)
    opened = cache.read(write(content))

    try:
        assert isinstance(opened, LargeFile)
        assert opened.size_bytes == SMALL_BYTES
        assert opened.piece(0, 10) + opened.piece(10, SMALL_BYTES - 10) == content
    finally:
        opened.close()


def test_a_large_file_that_shrank_is_refused(cache, write):
    file = write(bytes(SMALL_BYTES))
    opened = cache.read(file)
    os.truncate(file.path, 100)

    try:
        assert opened.piece(0, 100) == bytes(100)
        with pytest.raises(ContentError, match="the file shrank; replace files by renaming"):
            opened.piece(0, 101)
    finally:
        opened.close()


def test_a_file_is_read_as_it_was_when_it_was_opened(cache, write):
    opened = cache.read(write(b"a" * SMALL_BYTES))
    write(b"b" * SMALL_BYTES)

    try:
        assert opened.piece(SMALL_BYTES - 3, 3) == b"aaa"
    finally:
        opened.close()


def test_memory_is_bounded(cache, write):
    files = [write(bytes(SMALL_BYTES - 1), f"{number}.efi") for number in range(BUDGET_BYTES // SMALL_BYTES + 2)]

    for file in files:
        cache.read(file)

    assert sum(cache.fresh(file) is not None for file in files) <= BUDGET_BYTES // SMALL_BYTES
    assert cache.fresh(files[-1]) is not None
