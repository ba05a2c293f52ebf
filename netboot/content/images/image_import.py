"""Imports container images: stages and verifies every blob of a source, then publishes all of its images, or none.

The blobs are on disk before the file of a repository that names them is replaced. A tag that names another manifest
already moves, as in a registry; the earlier manifest stays under its digest. Blocks for minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from netboot.content.images.image_layouts import FoundImage, images_of
from netboot.content.images.image_source import AGAIN, Container, read_containers
from netboot.content.images.image_store import ImageRepository, ImageStore, StoredManifest
from netboot.content.images.image_walk import WalkedImage, walk
from netboot.content.images.staged_blobs import StagedBlobs
from netboot.content.library.disk import explaining_import_errors
from netboot.content.library.library import Library, Staging
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.errors import ContentError
from netboot.model.image_name import ImageName, is_digest
from netboot.model.release import EntryKind

_SHOWN: Final = 5
_MOST_IMAGES: Final = 10_000  # names in one source; a mirror has some 500
_NO_TAG: Final = "latest"


@dataclass(frozen=True, slots=True)
class ImportedImage:
    """An image that is in the store now. `moved_from` is what its tag named before."""

    name: str  # `olcne/ui:1.33`
    digest: str
    platforms: tuple[str, ...]
    size_bytes: int
    is_new: bool
    moved_from: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportedImages:
    """The images of one source. `new_bytes` of them were not there before."""

    source: str
    images: tuple[ImportedImage, ...]
    new_bytes: int


def import_images(
    library: Library, source: Path, name: ImageName | None = None, *, progress: Progress = NO_PROGRESS
) -> ImportedImages:
    """Bring all images of a source into the store; raise ContentError, with nothing published, if one is damaged.

    `name` is that of its only image, if the source has none, or not the right one.
    """
    with explaining_import_errors(source), library.changing() as staging:
        store = ImageStore(library.directory)
        blobs = StagedBlobs(staging, store)
        blobs.take_over(progress)
        releases = {entry.name for entry in library.entries() if entry.kind is EntryKind.RELEASE}
        plan = _Plan(store, str(source), frozenset(releases))
        for container in read_containers(source, blobs, progress):
            plan.add_container(container, images_of(container, blobs), name, blobs)
        return plan.publish(staging, blobs, progress)


@dataclass(slots=True)
class _Plan:
    """The images of a source, and what is recorded of them when all are verified."""

    store: ImageStore
    source: str
    releases: frozenset[str]  # their names, and those of aliases
    images: list[ImportedImage] = field(default_factory=list)
    repositories: dict[str, ImageRepository] = field(default_factory=dict)
    blobs: dict[str, None] = field(default_factory=dict)  # in their order
    name_count: int = 0

    def add_container(
        self, container: Container, found: Sequence[FoundImage], name: ImageName | None, blobs: StagedBlobs
    ) -> None:
        images = _named(found, name, container.name)
        self.name_count += len(images)
        if self.name_count > _MOST_IMAGES:
            raise ContentError(f"{self.source} names more than {_MOST_IMAGES} images; make one archive of fewer")
        repositories = {each.name.repository for each in images if each.name is not None}
        only = repositories.pop() if len(repositories) == 1 else None
        for each in images:
            if each.name is not None:
                self._add(container, each.name, each, blobs)
            elif only is not None:  # a signature beside its image
                self._add(container, ImageName(only, each.descriptor.digest), each, blobs)
            else:
                raise ContentError(_nameless(container.name, each, len(images)))
        for each in found:
            if each.descriptor.is_attestation and only is not None:
                self._record(ImageName(only), self._walked(container, each, blobs))

    def _walked(self, container: Container, found: FoundImage, blobs: StagedBlobs) -> WalkedImage:
        try:
            walked = walk(found.descriptor, blobs)
        except ContentError as error:
            raise ContentError(f"{container.name}: {error}; {AGAIN}") from error
        if walked.missing:
            faults = [f"the blob {digest}: {why}" for digest, why in walked.missing.items()]
            more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
            raise ContentError(f"{container.name}: {', '.join(faults[:_SHOWN])}{more}; {AGAIN}")
        return walked

    def _add(self, container: Container, name: ImageName, found: FoundImage, blobs: StagedBlobs) -> None:
        walked = self._walked(container, found, blobs)
        if not walked.platforms:
            raise ContentError(f"{container.name}: {name} is an index without any of its images; {AGAIN}")
        if is_digest(name.reference) and name.reference != walked.digest:
            raise ContentError(f"{container.name} has the image {walked.digest} under the name {name}; {AGAIN}")
        repository, notes = self._repository(name.repository), _notes(walked)
        before = repository.tags.get(name.reference, "")
        if walked.commit and name.reference in self.releases and before != walked.digest:
            notes.append(
                f"the tag {name.reference} stays, because a release or alias has this name and nodes follow it; "
                "netboot content import-image, then netboot content promote"
            )
            name, before = ImageName(name.repository, walked.digest), ""
        is_tagged = name.reference != walked.digest
        is_new = walked.digest not in repository.manifests or (is_tagged and before != walked.digest)
        self._record(name, walked)
        platforms, moved_from = tuple(dict.fromkeys(walked.platforms)), before if before != walked.digest else ""
        self.images.append(
            ImportedImage(
                str(name), walked.digest, platforms, walked.size_bytes, is_new, moved_from, notes=tuple(notes)
            )
        )

    def _repository(self, name: str) -> ImageRepository:
        return self.repositories.get(name) or self.store.repository(name) or ImageRepository(name)

    def _record(self, name: ImageName, walked: WalkedImage) -> None:
        known = self._repository(name.repository)
        tags = dict(known.tags)
        if name.reference and name.reference != walked.digest:
            tags[name.reference] = walked.digest
        manifests: dict[str, StoredManifest] = {**known.manifests, **walked.manifests}
        self.repositories[name.repository] = replace(known, tags=tags, manifests=manifests)
        self.blobs.update(dict.fromkeys(walked.digests))

    def publish(self, staging: Staging, blobs: StagedBlobs, progress: Progress) -> ImportedImages:
        progress.step("writing it to disk", 0)
        blobs.publish(self.blobs)
        for repository in self.repositories.values():
            if repository != self.store.repository(repository.name):
                self.store.replace(repository, staging.directory)
        return ImportedImages(Path(self.source).name, tuple(self.images), blobs.new_bytes)


def _named(found: Sequence[FoundImage], name: ImageName | None, container: str) -> list[FoundImage]:
    """List the images of a container, whose only one gets the name that an operator gave."""
    images = [each for each in found if not each.descriptor.is_attestation]
    if not images:
        raise ContentError(f"{container} names no image; {AGAIN}")
    if name is None:
        return images
    if len({each.descriptor.digest for each in images}) != 1:
        raise ContentError(f"{container} has {len(images)} images, so --image cannot name them; leave it out")
    given = name if name.reference else ImageName(name.repository, images[0].tag or _NO_TAG)
    return [replace(images[0], name=given)]


def _notes(walked: WalkedImage) -> list[str]:
    notes = []
    if walked.absent:
        absent = ", ".join(walked.absent.values())
        notes.append(f"without {absent}: the source has not these; copy with skopeo copy --all to have them")
    if walked.commit:
        notes.append("an OSTree commit is in it: netboot content import-image makes a release of it too")
    return notes


def _nameless(container: str, found: FoundImage, count: int) -> str:
    what = f"only the tag {found.tag}" if found.tag else "no name"
    if count > 1:
        return (
            f"{container} has {count} images, and one has {what}; save each with its name: skopeo copy … oci:DIR:NAME"
        )
    return f"{container} has {what} for its image; give it: --image REPOSITORY{'' if found.tag else ':TAG'}"
