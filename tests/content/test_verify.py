"""Media and releases of the library are verified, and repaired from their source."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netboot.content.imports.archive_import import import_archive
from netboot.content.imports.verify import Verdict, repair, verify
from netboot.content.library.library import Library
from netboot.content.library.progress import NO_PROGRESS
from netboot.content.library.record import Record
from netboot.model.release import EntryKind

if TYPE_CHECKING:
    Images = Any  # of conftest.py


@pytest.fixture
def library(tmp_path: Path, small_archive: Path) -> Library:
    library = Library(tmp_path / "content")
    import_archive(library, small_archive, "ock-1", now=datetime(2026, 11, 21, tzinfo=UTC))
    return library


def damage(root: Path) -> dict[str, str]:
    """Damage one object, remove another; return the expected faults."""
    spoilt = max(root.rglob("*.filez"), key=lambda path: path.stat().st_size)
    spoilt.write_bytes(b"")
    (missing,) = root.rglob("*.dirmeta")
    missing.unlink()
    return {
        str(spoilt.relative_to(root)): "it does not begin with a filez header",
        str(missing.relative_to(root)): "it is missing",
    }


def mended(library: Library, source: Path) -> tuple[str, ...]:
    entry = library.find("ock-1")
    with library.changing() as staging:
        return repair(staging, entry, verify(entry), source, progress=NO_PROGRESS)


def test_a_sound_release_is_sound(library: Library) -> None:
    verdict = verify(library.find("ock-1"))

    record = library.find("ock-1").record
    assert record is not None
    assert verdict == Verdict("ock-1", EntryKind.RELEASE, record.object_count, {})


def test_every_bad_object_is_named_and_repaired_from_a_directory(library: Library, small_archive: Path) -> None:
    faults = damage(library.directory / "ostree" / "ock-1")
    assert verify(library.find("ock-1")).faults == faults

    repaired = mended(library, small_archive)

    assert sorted(repaired) == sorted(faults)
    assert verify(library.find("ock-1")).is_sound


def test_a_release_is_repaired_from_its_archive(library: Library, small_archive: Path, images: "Images") -> None:
    faults = damage(library.directory / "ostree" / "ock-1")
    archive = images.write(images.oci_blobs([images.layer(images.repository(small_archive))]))

    assert sorted(mended(library, archive)) == sorted(faults)
    assert verify(library.find("ock-1")).is_sound


def test_a_damaged_source_repairs_nothing(library: Library, tmp_path: Path, small_archive: Path) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(small_archive, bad)
    damage(bad)
    faults = damage(library.directory / "ostree" / "ock-1")

    assert mended(library, bad) == ()
    assert verify(library.find("ock-1")).faults == faults


def test_a_ref_that_was_moved_is_found(library: Library) -> None:
    (library.directory / "ostree" / "ock-1" / "refs" / "heads" / "ock").write_text("0" * 64 + "\n")

    faults = verify(library.find("ock-1")).faults

    assert "refs/heads/ock" in faults
    assert "was imported" in faults["refs/heads/ock"]


def test_a_release_that_is_not_an_archive_any_more_is_reported(library: Library) -> None:
    (library.directory / "ostree" / "ock-1" / "config").unlink()

    assert "config" in verify(library.find("ock-1")).faults["."]


def test_a_medium_is_compared_with_its_record(content_directory: Path) -> None:
    root = content_directory / "media" / "ol8"
    sums = {
        name: hashlib.sha256((root / name).read_bytes()).hexdigest()
        for name in ("vmlinuz", "initrd.img", "images/install.img")
    }
    Record("x.iso", "sha256:1", "2026-11-21T00:00:00+00:00", files=sums).write(root)
    entry = Library(content_directory).find("ol8")
    assert verify(entry) == Verdict("ol8", EntryKind.MEDIUM, 3, {})

    (root / "initrd.img").write_bytes(b"another")
    (root / "vmlinuz").unlink()

    wrong = hashlib.sha256(b"another").hexdigest()
    assert verify(entry).faults == {
        "initrd.img": f"its bytes have the checksum {wrong}, not {sums['initrd.img']}",
        "vmlinuz": "it cannot be read: No such file or directory",
    }


def test_a_medium_copied_in_by_hand_has_no_checksums_to_compare(content_directory: Path) -> None:
    root = content_directory / "media" / "ol8"
    (root / "images" / "install.img").write_bytes(b"hsqs" + bytes(100))

    verdict = verify(Library(content_directory).find("ol8"))

    assert verdict.is_sound
    assert verdict.notes == ("it was not imported, so it has no checksums to compare; netboot content import-iso FILE",)
