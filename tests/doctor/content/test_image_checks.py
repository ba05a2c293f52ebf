"""Container images: a blob that is missing, cut off or damaged is found, and a repair removes the finding."""

from pathlib import Path

import pytest
from doctor.content.conftest import Appliance
from fixtures.image_layouts import Layout

from netboot.content.images.image_import import import_images
from netboot.content.images.image_store import ImageStore
from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.doctor.doctor_finding import Level


@pytest.fixture
def layout(appliance: Appliance, tmp_path: Path) -> Layout:
    made = Layout()
    made.name(made.image("ui"), "olcne/ui:1")
    import_images(Library(appliance.directory / "content"), made.archive(tmp_path / "ui.tar"))
    return made


def test_a_blob_that_is_missing_or_cut_off_is_a_warning(appliance: Appliance, layout: Layout):
    store = ImageStore(appliance.directory / "content")
    digest = layout.named[0]["digest"]
    layer = next(each for each, data in layout.blobs.items() if data.startswith(b"\x1f\x8b"))
    assert appliance.findings() == []

    store.blob_path(layer).write_bytes(b"short")
    found = appliance.finding("content.images")
    assert (found.level, found.sentence) == (Level.WARNING, "image olcne/ui: 1 of its blobs are damaged or missing")
    assert found.evidence == (f"{layer}: it has 5 bytes instead of {len(layout.blobs[layer])}",)
    assert found.cure == "netboot content verify olcne/ui --repair-from SOURCE, or import the images again"

    store.blob_path(layer).write_bytes(layout.blobs[layer])
    store.blob_path(digest).unlink()
    assert appliance.finding("content.images").evidence == (f"{digest}: it is missing",)
    store.blob_path(digest).write_bytes(b"{" * len(layout.blobs[digest]))
    assert "is not JSON" in appliance.finding("content.images").evidence[0]


def test_a_damaged_byte_is_found_by_reading_all(appliance: Appliance, layout: Layout):
    store = ImageStore(appliance.directory / "content")
    layer = next(each for each, data in layout.blobs.items() if data.startswith(b"\x1f\x8b"))
    store.blob_path(layer).write_bytes(bytes(len(layout.blobs[layer])))

    assert appliance.findings() == []
    found = appliance.finding("content.digests", verifies=True)
    assert (found.level, found.evidence[0].partition(" its bytes")[0]) == (Level.WARNING, f"{layer}:")


def test_the_image_of_a_release_that_hosts_use_is_a_problem(appliance: Appliance, layout: Layout):
    store, digest = ImageStore(appliance.directory / "content"), layout.named[0]["digest"]
    record = Record.read(appliance.release)
    assert record is None
    Record("f", "", "2026-11-01T00:00:00+00:00", image=f"olcne/ui@{digest}").write(appliance.release)
    store.blob_path(digest).unlink()

    assert [found.level for found in appliance.findings() if found.check == "content.images"] == [Level.PROBLEM]


def test_a_repository_whose_file_is_damaged(appliance: Appliance, layout: Layout):
    (ImageStore(appliance.directory / "content").root / "repositories/olcne/ui/_repository.json").write_text("{")

    assert "is damaged" in appliance.finding("content.images").evidence[0]
