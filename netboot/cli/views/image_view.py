"""Container images as text."""

from collections.abc import Iterator
from typing import Final

from netboot.admin.texts.ages import ago
from netboot.content.library.disk import megabytes
from netboot.operate.content.image_listing import ImageDetails, ListedImage, ListedRepository

_SHOWN_TAGS: Final = 5


def image_row(found: ListedRepository) -> tuple[str, ...]:
    """Describe a repository in a line of the list: its tags, and how many images have none, or a fault."""
    more = len(found.tags) - _SHOWN_TAGS
    untagged = sum(not image.tags for image in found.images)
    faulty = sum(image.fault is not None for image in found.images)
    parts = [
        *found.tags[:_SHOWN_TAGS],
        *([f"{more} more"] if more > 0 else []),
        *([f"{untagged} without a tag"] if untagged else []),
        *([f"{faulty} damaged"] if faulty else []),
    ]
    return (
        found.name,
        "image",
        ", ".join(parts),
        megabytes(found.size_bytes),
        ago(found.imported_at) if found.imported_at else "",
        ", ".join(found.used_by) or "-",
    )


def image_lines(found: ImageDetails) -> Iterator[str]:
    """Describe an image or a repository, with each blob."""
    yield f"name: {found.name}"
    yield "kind: image"
    for image in found.repository.images:
        yield f"{', '.join(image.tags) or 'without a tag'}: {_described(image)}"
    if found.repository.used_by:
        yield f"used by: {', '.join(found.repository.used_by)}"
    yield f"size: {megabytes(sum(found.blobs.values()))}"
    yield from (f"  {digest}  {megabytes(size)}" for digest, size in found.blobs.items())


def _described(image: ListedImage) -> str:
    parts = [image.digest, ", ".join(image.platforms), image.media_type, megabytes(image.size_bytes)]
    parts += [f"imported {ago(image.imported_at)}"] if image.imported_at else []
    parts += [f"commit {image.commit[:12]}"] if image.commit else []
    parts += [f"release {', '.join(image.releases)}"] if image.releases else []
    parts += [image.fault] if image.fault else []
    return "; ".join(part for part in parts if part)
