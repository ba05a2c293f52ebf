"""Damaged files are fetched from another appliance by HTTP, and used only if their bytes are the wanted ones."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.plain_web_server import plain_web_server

from netboot.content.imports.appliance_source import ApplianceSource, is_appliance
from netboot.content.imports.archive_import import import_archive
from netboot.content.imports.verify import repair, verify
from netboot.content.library.library import Library
from netboot.content.library.progress import NO_PROGRESS
from netboot.content.library.record import Record
from netboot.errors import ContentError


@pytest.mark.parametrize(
    ("source", "is_url"), [("http://192.0.2.11:8080", True), ("https://a", True), ("/a.tar", False), ("ftp://a", False)]
)
def test_a_source_is_an_appliance_by_its_url(source: str, is_url: bool):
    assert is_appliance(source) is is_url


def test_a_file_replaces_what_was_fetched_before_and_one_that_is_not_there_leaves_nothing(tmp_path: Path):
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "a b").write_bytes(b"bytes")
    place = tmp_path / "new"
    place.write_bytes(b"of another file")

    with plain_web_server(tmp_path) as port:
        appliance = ApplianceSource(f"http://127.0.0.1:{port}/")
        found = appliance.fetch("/content/a b", place), place.read_bytes()
        missing = appliance.fetch("/content/c", place), place.exists()

    assert (found, missing) == ((True, b"bytes"), (False, False))


def test_an_appliance_that_does_not_answer_is_named_with_the_reason_and_the_cure(tmp_path: Path):
    with plain_web_server(tmp_path) as port:
        pass

    with pytest.raises(ContentError) as refused:
        ApplianceSource(f"http://127.0.0.1:{port}").fetch("/content/a", tmp_path / "new")

    assert str(refused.value) == (
        f"cannot fetch /content/a from http://127.0.0.1:{port}: [Errno 111] Connection refused; "
        "name the URL that machines use, as http://192.0.2.11:8080"
    )


def repaired(library: Library, name: str, served: Path) -> list[str]:
    """Repair an entry from an appliance that serves this directory."""
    entry = library.find(name)
    with plain_web_server(served) as port, library.changing() as staging:
        source = ApplianceSource(f"http://127.0.0.1:{port}")
        return sorted(repair(staging, entry, verify(entry), source, progress=NO_PROGRESS))


def test_a_release_gets_its_sound_objects_from_an_appliance(tmp_path: Path, small_archive: Path):
    library = Library(tmp_path / "content")
    import_archive(library, small_archive, "ock-1", now=datetime(2026, 11, 21, tzinfo=UTC))
    root, other = library.directory / "ostree" / "ock-1", tmp_path / "served" / "ostree" / "ock-1"
    shutil.copytree(root, other)
    spoilt, missing, bad_everywhere = sorted(root.rglob("*.filez"))[:3]
    names = [path.relative_to(root).as_posix() for path in (spoilt, missing, bad_everywhere)]
    spoilt.write_bytes(b"")
    missing.unlink()
    bad_everywhere.write_bytes(b"")
    (other / names[2]).write_bytes(b"bad there too")

    assert repaired(library, "ock-1", tmp_path / "served") == names[:2]
    assert list(verify(library.find("ock-1")).faults) == [names[2]]


def test_a_medium_gets_the_files_whose_checksums_are_recorded(tmp_path: Path, content_directory: Path):
    root, other = content_directory / "media" / "ol8", tmp_path / "served" / "content" / "ol8"
    names = ["images/install.img", "initrd.img", "vmlinuz"]
    sums = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}
    Record("x.iso", "sha256:1", "2026-11-21T00:00:00+00:00", files=sums).write(root)
    shutil.copytree(root, other)
    (root / "vmlinuz").write_bytes(b"damaged")
    (root / "initrd.img").unlink()
    (other / "initrd.img").write_bytes(b"of another medium")

    assert repaired(Library(content_directory), "ol8", tmp_path / "served") == ["vmlinuz"]
    assert list(verify(Library(content_directory).find("ol8")).faults) == ["initrd.img"]
