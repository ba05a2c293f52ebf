"""Verifies the images of the store, every blob by its digest, and replaces damaged ones from an archive. Blocks."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from netboot.content.images.image_layouts import images_of
from netboot.content.images.image_source import read_containers
from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.images.image_walk import walk_stored
from netboot.content.images.staged_blobs import StagedBlobs
from netboot.content.library.disk import sha256
from netboot.content.library.library import Staging
from netboot.content.library.progress import NO_PROGRESS, Progress
from netboot.errors import ContentError
from netboot.model.urls import REGISTRY_PREFIX


@dataclass(frozen=True, slots=True)
class ImageVerdict:
    """The result for one image or repository. `faults` maps each bad blob to its fault."""

    name: str
    checked: int
    faults: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        return not self.faults


@dataclass(slots=True)
class ImageCheck:
    """Reads each blob once, whatever images name it."""

    store: ImageStore
    found: dict[str, str] = field(default_factory=dict)  # each blob that was read, with its fault or nothing

    def verify(
        self, repository: ImageRepository, reference: str = "", progress: Progress = NO_PROGRESS
    ) -> ImageVerdict:
        """Check the image that a tag or digest names, or all of a repository."""
        name = repository.name
        digests = list(repository.manifests)
        if reference:
            name = f"{repository.name}{'@' if reference in repository.manifests else ':'}{reference}"
            digests = [digest] if (digest := repository.digest_of(reference)) is not None else []
        faults: dict[str, str] = {}
        blobs: dict[str, None] = {}
        for digest in digests:
            self._check(digest, faults)
            if digest in faults:
                blobs[digest] = None
                continue
            try:
                walked = walk_stored(digest, repository.manifests[digest], self.store)
            except ContentError as error:
                faults[digest] = str(error)
                continue
            faults |= walked.missing
            faults |= {each: "it is missing" for each in walked.absent if each in repository.manifests}
            blobs.update(dict.fromkeys(walked.digests))
        sizes = {digest: self.store.blob_size(digest) or 0 for digest in blobs}
        progress.step(f"checking {name}", sum(size for digest, size in sizes.items() if digest not in self.found))
        for digest in blobs:
            self._check(digest, faults, progress)
        return ImageVerdict(name, len(blobs), faults)

    def verify_all(self, progress: Progress = NO_PROGRESS) -> Iterator[ImageVerdict]:
        """Check each repository; one whose file is damaged is a fault of its own."""
        for name in self.store.names():
            try:
                repository = self.store.repository(name)
            except ContentError as error:
                yield ImageVerdict(name, 0, {".": str(error)})
            else:
                if repository is not None:
                    yield self.verify(repository, "", progress)

    def forget(self, digests: Collection[str]) -> None:
        """Read these again at the next verification: they were replaced."""
        for digest in digests:
            self.found.pop(digest, None)

    def _check(self, digest: str, faults: dict[str, str], progress: Progress = NO_PROGRESS) -> None:
        if digest in faults:
            return
        if digest not in self.found:
            self.found[digest] = self._fault(digest, progress)
        if self.found[digest]:
            faults[digest] = self.found[digest]

    def _fault(self, digest: str, progress: Progress) -> str:
        try:
            found = f"sha256:{sha256(self.store.blob_path(digest), progress)}"
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        return "" if found == digest else f"its bytes have the checksum {found}"


def repair_images(
    staging: Staging, store: ImageStore, verdict: ImageVerdict, source: Path, *, progress: Progress
) -> tuple[str, ...]:
    """Replace damaged and missing blobs from a source that has them; return those replaced."""
    blobs = StagedBlobs(staging, store, damaged=verdict.faults)
    for container in read_containers(source, blobs, progress):
        images_of(container, blobs)  # makes the manifest of a Docker archive
    progress.step(f"repairing {verdict.name}", 0)
    return tuple(digest for digest in verdict.faults if blobs.repair(digest))


def repair_blobs(
    staging: Staging, store: ImageStore, verdict: ImageVerdict, fetch: Callable[[str, Path], bool], *, repository: str
) -> tuple[str, ...]:
    """Replace damaged and missing blobs by what `fetch` writes for a path of a registry; return those replaced."""
    new, replaced = staging.directory / "fetched", []
    for digest in verdict.faults:
        for part in ("blobs", "manifests"):
            if fetch(f"{REGISTRY_PREFIX}{repository}/{part}/{digest}", new) and f"sha256:{sha256(new)}" == digest:
                store.replace_blob(new, digest)
                replaced.append(digest)
                break
    return tuple(replaced)
