"""Describes the container images of the library. Reads files: call it in a thread."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.images.image_walk import WalkedImage, walk_stored
from netboot.content.images.release_images import ReleaseImage, release_images
from netboot.content.library.disk import file_status
from netboot.content.library.library import Library, UnknownContentError
from netboot.content.serving.withheld_files import IMAGES, WithheldFile
from netboot.errors import ContentError
from netboot.model.image_name import ImageName, is_digest, is_repository
from netboot.operate.content.content_users import ContentUsers


@dataclass(frozen=True, slots=True)
class ListedImage:
    """A manifest or index that a tag names, or that none does: then `tags` is empty.

    `commit` is the OSTree commit that its label names. `fault` is why it cannot be read.
    """

    digest: str
    tags: Sequence[str]
    media_type: str
    platforms: Sequence[str]
    size_bytes: int
    imported_at: str | None
    commit: str | None
    releases: Sequence[str]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class ListedRepository:
    """A repository: its images, its size with each blob once, and the releases and hosts that use one of them."""

    name: str
    tags: Sequence[str]
    images: Sequence[ListedImage]
    size_bytes: int
    imported_at: str | None
    used_by: Sequence[str]


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """One image of a repository, or all of them: the size of each blob, and why it must stay."""

    name: str
    repository: ListedRepository
    blobs: Mapping[str, int]
    reasons: Sequence[str]


def list_images(
    library: Library, users: ContentUsers, *, withheld: Sequence[WithheldFile] = ()
) -> list[ListedRepository]:
    """List the repositories by name, `withheld` are not served; raise ContentError if one cannot be read."""
    store, releases = ImageStore(library.directory), release_images(library)
    return [listed_repository(each, store, releases, users, withheld=withheld) for each in store.repositories()]


def find_image(library: Library, text: str) -> tuple[ImageRepository, str]:
    """Find a repository, and the tag or digest in it (or nothing); raise UnknownContentError if there is none."""
    try:
        name = ImageName.parse(text)
    except ValueError as error:
        raise UnknownContentError(f"there is no image {text}: {error}; netboot content list") from None
    repository = ImageStore(library.directory).repository(name.repository)
    if repository is None or (name.reference and repository.digest_of(name.reference) is None):
        raise UnknownContentError(f"there is no image {name} in {library.directory}; netboot content list")
    return repository, name.reference


def is_image(library: Library, text: str) -> bool:
    """Return whether a text names an image, and no medium or release."""
    if set(text) & {"/", ":", "@"}:
        return True
    if not is_repository(text) or any(entry.name == text for entry in library.entries()):
        return False
    return ImageStore(library.directory).repository(text) is not None


def listed_repository(
    repository: ImageRepository,
    store: ImageStore,
    releases: Sequence[ReleaseImage],
    users: ContentUsers,
    *,
    withheld: Sequence[WithheldFile] = (),
) -> ListedRepository:
    damaged = {each.owner for each in withheld if each.kind == IMAGES}
    walks = {digest: _walked(repository, digest, store) for digest in repository.manifests}
    inner = {child for walked in walks.values() if walked for child in walked.manifests if child != walked.digest}
    tagged = {*repository.tags.values()}
    own = [each for each in releases if each.repository == repository.name]
    images = [
        _listed(repository, digest, walk, store, own, damaged)
        for digest, walk in walks.items()
        if digest in tagged or digest not in inner
    ]
    images.sort(key=lambda image: (not image.tags, [*image.tags], image.digest))
    sizes = {digest: size for walked in walks.values() if walked for digest, size in _sizes(walked).items()}
    dates = [image.imported_at for image in images if image.imported_at]
    return ListedRepository(
        repository.name,
        sorted(repository.tags),
        images,
        sum(sizes.values()),
        max(dates, default=None),
        _users_of(own, users),
    )


def image_blobs(repository: ImageRepository, reference: str, store: ImageStore) -> dict[str, int]:
    """Return the size of each blob of an image, or of all of a repository."""
    digest = repository.digest_of(reference) if reference else None
    walks = (_walked(repository, each, store) for each in ([digest] if digest else repository.manifests))
    return {blob: size for walked in walks if walked is not None for blob, size in _sizes(walked).items()}


def _walked(repository: ImageRepository, digest: str, store: ImageStore) -> WalkedImage | None:
    try:
        walked = walk_stored(digest, repository.manifests[digest], store)
    except ContentError:
        return None
    return walked if digest in walked.manifests else None


def _sizes(walked: WalkedImage) -> dict[str, int]:
    return {**walked.blobs, **{digest: each.size_bytes for digest, each in walked.manifests.items()}}


def _listed(
    repository: ImageRepository,
    digest: str,
    walked: WalkedImage | None,
    store: ImageStore,
    releases: Iterable[ReleaseImage],
    damaged: AbstractSet[str],
) -> ListedImage:
    stored, status = repository.manifests[digest], file_status(store.blob_path(digest))
    imported_at = datetime.fromtimestamp(int(status.st_mtime), UTC).isoformat() if status is not None else None
    fault = None
    if walked is None:
        fault = "its manifest is damaged or missing"
    elif walked.missing:
        fault = f"{len(walked.missing)} of its blobs are missing"
    elif count := len(damaged & set(walked.digests)):
        fault = f"{count} of its blobs are damaged and not served"
    return ListedImage(
        digest,
        repository.tags_of(digest),
        stored.media_type,
        list(dict.fromkeys(walked.platforms)) if walked is not None else [],
        walked.size_bytes if walked is not None else stored.size_bytes,
        imported_at,
        (walked.commit if walked is not None else "") or None,
        [each.release for each in releases if each.digest == digest],
        fault,
    )


def _users_of(releases: Iterable[ReleaseImage], users: ContentUsers) -> list[str]:
    names = [each.release for each in releases]
    hosts = {host.name for host in users.hosts if host.release in names}
    return [*names, *sorted(hosts)]


def full_name(repository: ImageRepository, reference: str) -> str:
    if not reference:
        return repository.name
    return f"{repository.name}{'@' if is_digest(reference) else ':'}{reference}"
