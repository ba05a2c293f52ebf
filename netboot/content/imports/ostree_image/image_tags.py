"""Which tags an import of an image writes. An import never moves a tag that a node may follow: `promote` does."""

from netboot.content.images.image_store import ImageRepository, ImageStore
from netboot.content.imports.ostree_image.image_names import ImageNames
from netboot.content.library.library import Library
from netboot.content.oci.image import ImageSet
from netboot.errors import ContentError
from netboot.model.release import EntryKind


def chosen_tags(
    library: Library, store: ImageStore, names: ImageNames, images: ImageSet
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the tags to write with their digests, and notes about tags of the archive that stay as they are.

    Each release is a tag, so that a host installed from it follows it. A tag that the operator requests is moved, but
    not one that is the name of another release, medium or alias: raises ContentError.
    """
    known = store.repository(names.repository)
    tags = {
        name: _kept(library, known, name) or image.digest
        for name, image in zip(names.releases, images.images, strict=True)
    }
    if names.shared_name:
        tags[names.shared_name] = images.digest
    used = {entry.name for entry in library.entries()} - set(names.releases)
    notes = []
    for tag in names.tags:
        if tag in tags:
            continue
        before = known.tags.get(tag) if known else None
        if tag in used and before != images.digest:
            what = f"the tag {tag} is not set: {tag} is the name of another release, medium or alias"
            if names.is_requested:
                raise ContentError(f"{what}; choose another tag by --image, or netboot content promote")
            notes.append(f"{what}; netboot content promote {names.releases[0]} {tag} sets it")
        elif before not in (None, images.digest) and not names.is_requested:
            notes.append(
                f"the tag {tag} of {names.repository} still names {before}, so that no node updates by an import; "
                f"netboot content import-image … --image {names.repository}:{tag} moves it"
            )
        else:
            tags[tag] = images.digest
    return tags, tuple(notes)


def _kept(library: Library, known: ImageRepository | None, release: str) -> str | None:
    """Return what the tag of a release names that is there already; None if this import sets it.

    The caller has verified that its commit is that of the image: another digest is another form of the same release.
    """
    entry = library.get(EntryKind.RELEASE, release)
    record = entry.record if entry is not None else None
    tagged = known.tags.get(release) if known is not None else None
    is_its_own = record is not None and known is not None and record.image == f"{known.name}@{tagged}"
    return tagged if is_its_own else None
