"""Deletes images that nothing names: manifests without a tag and without a release, then blobs without a manifest.

What a machine pulls stays, also if its tag moved meanwhile. Nothing is deleted while a manifest that is named cannot be
read: its blobs are not known. Who calls it holds `Library.changing()`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.images.image_walk import WalkedImage, walk_stored
from netboot.content.images.release_images import ReleaseImage
from netboot.errors import ContentError


@dataclass(frozen=True, slots=True)
class CollectedImages:
    """How many manifests and blobs were deleted, the bytes of the blobs, and how many manifests are pulled now."""

    manifests: int = 0
    blobs: int = 0
    size_bytes: int = 0
    pulled: int = 0


def collect_images(
    store: ImageStore, releases: Collection[ReleaseImage], *, pulled: Collection[str], staging: Path
) -> CollectedImages:
    """Delete what nothing names; `pulled` are blobs that machines requested a moment ago."""
    kept_blobs: set[str] = set()
    changed, manifests, spared = [], 0, 0
    for repository in store.repositories():
        named = {*repository.tags.values(), *(each.digest for each in releases if each.repository == repository.name)}
        kept: set[str] = set()
        for walked in _walks(store, repository, named):
            kept |= walked.manifests.keys()
            kept_blobs.update(walked.digests)
        for walked in _walks(store, repository, repository.manifests.keys() - kept, is_named=False):
            if not pulled or not {*walked.digests} & {*pulled}:
                continue
            spared += len(walked.manifests.keys() - kept)
            kept |= walked.manifests.keys()
            kept_blobs.update(walked.digests)
        if gone := repository.manifests.keys() - kept:
            manifests += len(gone)
            left = {digest: each for digest, each in repository.manifests.items() if digest in kept}
            changed.append(replace(repository, manifests=left))
    for repository in changed:
        store.replace(repository, staging)
    count, size_bytes = 0, 0
    for digest in set(store.blobs()) - kept_blobs - {*pulled}:
        size_bytes += store.blob_size(digest) or 0
        store.remove_blob(digest)
        count += 1
    return CollectedImages(manifests, count, size_bytes, spared)


def _walks(
    store: ImageStore, repository: ImageRepository, digests: Collection[str], *, is_named: bool = True
) -> Iterator[WalkedImage]:
    for digest in digests:
        stored = repository.manifests.get(digest)
        if stored is None:
            continue
        try:
            walked = walk_stored(digest, stored, store)
            if digest in walked.missing:
                raise ContentError(f"the manifest {digest}: {walked.missing[digest]}")
        except ContentError as error:
            if is_named:
                raise ContentError(
                    f"cannot collect images: {repository.name}: {error}; netboot content verify {repository.name} "
                    "--repair-from SOURCE, or remove it"
                ) from error
            continue
        yield walked
