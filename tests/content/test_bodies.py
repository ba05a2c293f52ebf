"""Bodies are read whole or not at all, and only immutable ones are cached."""

from dataclasses import replace
from pathlib import Path

import pytest

from netboot.content.serving.bodies import SMALL_BODY_BYTES, Bodies, FileChangedError, check_unchanged, open_file
from netboot.content.serving.served_file import IMMUTABLE, NO_CACHE, ServedFile, served_file


def a_file(path: Path, body: bytes = b"body", *, cache_control: str = NO_CACHE) -> ServedFile:
    path.write_bytes(body)
    return served_file(str(path), path.stat(), cache_control=cache_control)


def test_a_small_body_is_returned_at_once(tmp_path: Path) -> None:
    assert Bodies().read_now(a_file(tmp_path / "f")) == b"body"
    assert Bodies().read_now(a_file(tmp_path / "empty", b"")) == b""
    assert Bodies().read_later(a_file(tmp_path / "f")) == b"body"


def test_a_large_body_is_left_to_the_kernel(tmp_path: Path) -> None:
    assert Bodies().read_now(a_file(tmp_path / "f", bytes(SMALL_BODY_BYTES + 1))) is None


def test_a_generated_body_needs_no_file(tmp_path: Path) -> None:
    file = replace(a_file(tmp_path / "f"), path="", body=b"made")

    assert Bodies().read_now(file) == b"made"


@pytest.mark.parametrize("new", [b"longer than before", b"BODY", None])
def test_a_file_that_changed_is_never_sent_under_its_old_length(tmp_path: Path, new: bytes | None) -> None:
    file = a_file(tmp_path / "f")
    (tmp_path / "f").unlink()
    if new is not None:
        (tmp_path / "g").write_bytes(new)
        (tmp_path / "g").rename(tmp_path / "f")

    for read in (Bodies().read_now, Bodies().read_later, open_file, check_unchanged):
        with pytest.raises(FileChangedError, match=str(tmp_path / "f")):
            read(file)


def test_an_unchanged_file_passes(tmp_path: Path) -> None:
    check_unchanged(a_file(tmp_path / "f"))
    check_unchanged(replace(a_file(tmp_path / "g"), path="", body=b"made"))


def test_a_link_or_directory_put_in_a_files_place_is_not_opened(tmp_path: Path) -> None:
    file = a_file(tmp_path / "f")
    (tmp_path / "f").rename(tmp_path / "moved")
    (tmp_path / "f").symlink_to("moved")

    with pytest.raises(FileChangedError):
        open_file(file)

    (tmp_path / "f").unlink()
    (tmp_path / "f").mkdir()
    with pytest.raises(FileChangedError):
        open_file(file)


def test_only_immutable_bodies_are_cached_up_to_the_capacity(tmp_path: Path) -> None:
    bodies = Bodies(capacity_bytes=10)
    objects = [a_file(tmp_path / f"o{n}", b"1234", cache_control=IMMUTABLE) for n in range(3)]
    config = a_file(tmp_path / "config", b"12")
    for file in (*objects, config):
        assert bodies.read_now(file) is not None
    for path in tmp_path.iterdir():
        path.unlink()

    kept = [file for file in (*objects, config) if _is_kept(bodies, file)]

    assert kept == objects[1:]
    bodies.clear()
    assert not any(_is_kept(bodies, file) for file in objects)


def _is_kept(bodies: Bodies, file: ServedFile) -> bool:
    try:
        return bodies.read_now(file) is not None
    except FileChangedError:
        return False


def test_a_cached_body_is_not_returned_for_an_earlier_version_of_the_file(tmp_path: Path) -> None:
    bodies = Bodies()
    before = a_file(tmp_path / "f", b"before", cache_control=IMMUTABLE)
    (tmp_path / "f").unlink()
    after = a_file(tmp_path / "f", b"and after", cache_control=IMMUTABLE)
    assert bodies.read_now(after) == b"and after"

    with pytest.raises(FileChangedError):
        bodies.read_now(before)
