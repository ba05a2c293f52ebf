"""What a round of the scrub reads, in its order: each unit has a key, so that a restarted round continues at one.

Releases by directories of their objects, deltas by the digests that were recorded when they were made, media by those
of their import, images by their blobs. Content without digests (a medium that was copied in, boot files) is in no unit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from netboot.content.images.image_store import ImageStore
from netboot.content.library.library import Library, LibraryEntry
from netboot.content.ostree.deltas import delta_digests
from netboot.content.ostree.object_table import DIRECTORIES
from netboot.content.serving.withheld_files import IMAGES
from netboot.model.release import EntryKind


@dataclass(frozen=True, slots=True)
class ScrubUnit:
    """A part of the content that is verified at once. `owner` is its medium or release, or `images`."""

    key: str
    kind: str  # of the owner: a value of EntryKind, or `images`
    owner: str
    root: Path
    request: dict[str, Any] = field(compare=False)  # for the worker


def scrub_units(library: Library, *, rate: int) -> list[ScrubUnit]:
    """List the units of a round. Reads directories: call it in a thread. Raises ContentError."""
    return [*_of_entries(library, rate), *_of_images(library, rate)]


def _of_entries(library: Library, rate: int) -> Iterator[ScrubUnit]:
    for entry in library.entries():
        if entry.alias_of is not None:
            continue
        unit = partial(_unit, entry)
        if entry.kind is EntryKind.RELEASE:
            yield unit("missing", release=entry.name)
            for directory in DIRECTORIES:
                yield unit(f"objects/{directory}", directory=directory)
            if digests := delta_digests(entry.path):
                yield unit("deltas", files=digests, rate=rate)
        elif (record := entry.record) is not None:
            for member, wanted in sorted(record.files.items()):
                yield unit(member, files={member: wanted}, rate=rate)


def _unit(entry: LibraryEntry, part: str, **request: Any) -> ScrubUnit:
    key = f"{entry.kind}/{entry.name}/{part}"
    return ScrubUnit(key, entry.kind, entry.name, entry.path, {"root": str(entry.path), **request})


def _of_images(library: Library, rate: int) -> Iterator[ScrubUnit]:
    store = ImageStore(library.directory)
    for digest in store.blobs():
        path = store.blob_path(digest)
        member, checksum = path.relative_to(store.root).as_posix(), digest.partition(":")[2]
        request = {"root": str(store.root), "files": {member: checksum}, "rate": rate}
        yield ScrubUnit(f"{IMAGES}/{member}", IMAGES, digest, store.root, request)
