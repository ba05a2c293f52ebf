"""Removes container images, and finds why they must stay. Blocks: call it off the loop."""

from collections.abc import Sequence
from dataclasses import replace

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.images.image_walk import walk_stored
from netboot.content.images.release_images import release_images
from netboot.content.library.library import Library
from netboot.content.serving.withheld_files import WithheldFile
from netboot.errors import ContentError
from netboot.operate.content.content_changes import ContentRefusedError, RemovedContent
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content.image_listing import ImageDetails, find_image, full_name, image_blobs, listed_repository


def describe_image(
    library: Library, name: str, users: ContentUsers, *, withheld: Sequence[WithheldFile] = ()
) -> ImageDetails:
    """Describe an image or a repository, `withheld` are not served; raise UnknownContentError."""
    repository, reference = find_image(library, name)
    store, releases = ImageStore(library.directory), release_images(library)
    listed = listed_repository(repository, store, releases, users, withheld=withheld)
    if reference:
        digest = repository.digest_of(reference)
        listed = replace(listed, images=[each for each in listed.images if each.digest == digest])
    return ImageDetails(
        full_name(repository, reference),
        listed,
        image_blobs(repository, reference, store),
        image_removal_reasons(library, repository, reference, users),
    )


def remove_image(library: Library, name: str, users: ContentUsers) -> RemovedContent:
    """Remove a tag, a manifest with its tags, or a repository; raise ContentRefusedError with every reason.

    Its blobs stay until `gc`: machines may pull them, and other images may have them.
    """
    with library.changing() as staging:
        repository, reference = find_image(library, name)
        found = full_name(repository, reference)
        if reasons := image_removal_reasons(library, repository, reference, users):
            raise ContentRefusedError("\n".join(f"cannot remove {found}: {reason}" for reason in reasons))
        ImageStore(library.directory).replace(_without(repository, reference), staging.directory)
    return RemovedContent(found, None, 0)


def image_removal_reasons(
    library: Library, repository: ImageRepository, reference: str, users: ContentUsers
) -> list[str]:
    """List why an image must stay, each with its cure."""
    digest = repository.digest_of(reference) if reference else None
    releases = [
        each
        for each in release_images(library)
        if each.repository == repository.name and (digest is None or each.digest == digest)
    ]
    reasons = [
        f"the {'alias' if each.alias_of else 'release'} {each.release} is this image; "
        f"netboot content remove {each.release}, which removes its tags too"
        for each in releases
    ]
    tags = (
        [reference]
        if reference in repository.tags
        else [tag for tag in repository.tags if _is_of(tag, repository, digest)]
    )
    reasons += [
        f"{host.name} is updated by the tag {host.release} ({host.declared_at}); give it another release"
        for host in users.hosts
        if host.release in tags and _has_commit(library, repository, str(host.release))
    ]
    if digest is not None and reference == digest:
        reasons += [
            f"it is a part of the index {outer}; remove that" for outer in _indexes_of(library, repository, digest)
        ]
    return reasons


def _is_of(tag: str, repository: ImageRepository, digest: str | None) -> bool:
    return digest is None or repository.tags[tag] == digest


def _has_commit(library: Library, repository: ImageRepository, tag: str) -> bool:
    digest = repository.tags[tag]
    try:
        return bool(walk_stored(digest, repository.manifests[digest], ImageStore(library.directory)).commit)
    except ContentError:
        return False


def _indexes_of(library: Library, repository: ImageRepository, digest: str) -> list[str]:
    store, found = ImageStore(library.directory), []
    for outer, stored in repository.manifests.items():
        try:
            if outer != digest and digest in walk_stored(outer, stored, store).manifests:
                found.append(outer)
        except ContentError:  # a damaged manifest names nothing
            continue
    return found


def _without(repository: ImageRepository, reference: str) -> ImageRepository:
    if not reference:
        return ImageRepository(repository.name)
    if reference in repository.tags:
        return replace(repository, tags={tag: each for tag, each in repository.tags.items() if tag != reference})
    return replace(
        repository,
        tags={tag: digest for tag, digest in repository.tags.items() if digest != reference},
        manifests={digest: each for digest, each in repository.manifests.items() if digest != reference},
    )
