"""Checks of container images: each repository can be read, and each blob that it needs is there with its size."""

from collections.abc import Iterator, Mapping
from typing import Final

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.images.image_walk import walk_stored
from netboot.content.images.release_images import release_images
from netboot.content.library.library import Library
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.errors import ContentError

IMAGES: Final = "content.images"
_SHOWN: Final = 10


def check_images(facts: ContentFacts) -> Iterator[DoctorFinding]:
    """Find images that lack a blob, and repositories that cannot be read. Reads manifests and sizes."""
    store = ImageStore(facts.directory)
    for name in store.names():
        try:
            repository = store.repository(name)
        except ContentError as error:
            yield image_finding(IMAGES, facts, name, {".": str(error)})
            continue
        if repository is not None and (faults := _faults(repository, store)):
            yield image_finding(IMAGES, facts, name, faults)


def image_finding(check: str, facts: ContentFacts, name: str, faults: Mapping[str, str]) -> DoctorFinding:
    """Describe the faults of a repository: a problem if nodes of a host are updated from it."""
    releases = {each.release for each in release_images(Library(facts.directory)) if each.repository == name}
    is_used = any(host.local_release in releases for host in facts.registry.hosts)
    evidence = tuple(f"{blob}: {what}" for blob, what in list(faults.items())[:_SHOWN])
    sentence = f"image {name}: {len(faults)} of its blobs are damaged or missing"
    cure = f"netboot content verify {name} --repair-from SOURCE, or import the images again"
    return DoctorFinding(check, Level.PROBLEM if is_used else Level.WARNING, sentence, evidence, cure)


def _faults(repository: ImageRepository, store: ImageStore) -> dict[str, str]:
    faults: dict[str, str] = {}
    for digest, stored in repository.manifests.items():
        try:
            faults |= walk_stored(digest, stored, store).missing
        except ContentError as error:
            faults[digest] = str(error)
    return faults
