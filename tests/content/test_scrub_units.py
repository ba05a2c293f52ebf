"""A round has every file that has a digest, once, in an order that does not change."""

from pathlib import Path

from fixtures.files import fill_content
from fixtures.stored_images import an_image, store_image

from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.content.ostree.object_table import DIRECTORIES
from netboot.content.scrub.scrub_units import scrub_units


def test_the_units_of_releases_media_and_images(tmp_path: Path):
    fill_content(tmp_path)
    (tmp_path / "ostree/stable").symlink_to("ock-1.31-amd64")
    (tmp_path / "media/copied").mkdir()
    record = Record("a.iso", "", "2026-11-30T00:00:00+00:00", files={"vmlinuz": "0" * 64, ".treeinfo": "1" * 64})
    record.write(tmp_path / "media/ol8u10-x86_64")
    image = store_image(tmp_path, "olcne/ui", an_image(), "v1")

    units = scrub_units(Library(tmp_path), rate=7)

    release = [f"ostree/ock-1.31-amd64/{part}" for part in ("missing", *(f"objects/{each}" for each in DIRECTORIES))]
    media = ["media/ol8u10-x86_64/.treeinfo", "media/ol8u10-x86_64/vmlinuz"]
    images = sorted(f"images/blobs/{digest.replace(':', '/')}" for digest in image.blobs)
    keys = [unit.key for unit in units]
    assert sorted(keys) == sorted([*release, *media, *images])
    assert keys == [unit.key for unit in scrub_units(Library(tmp_path), rate=7)]
    vmlinuz = next(unit for unit in units if unit.key == "media/ol8u10-x86_64/vmlinuz")
    assert vmlinuz.request == {
        "root": str(tmp_path / "media/ol8u10-x86_64"),
        "files": {"vmlinuz": "0" * 64},
        "rate": 7,
    }


def test_a_directory_without_content_has_no_unit(tmp_path: Path):
    assert scrub_units(Library(tmp_path / "none"), rate=0) == []
