"""The names of an imported image: its releases, its repository, and its tags. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.content.imports.archive_source import default_name
from netboot.content.library.library import checked_name
from netboot.content.oci.image import ImageSet
from netboot.errors import ContentError
from netboot.model.image_name import ImageName, is_digest, is_tag

DEFAULT_REPOSITORY: Final = "olcne/ock-ostree"


@dataclass(frozen=True, slots=True)
class ImageNames:
    """`releases` are in the order of the images; `tags` are those that the archive or the operator names."""

    repository: str
    releases: tuple[str, ...]
    tags: tuple[str, ...]
    is_requested: bool  # the operator named the tag
    shared_name: str  # that all architectures have in common; empty if there is one


def names_of(path: Path, images: ImageSet, name: str | None, requested: ImageName | None) -> ImageNames:
    """Derive all names; raise ContentError for one that is not valid."""
    architectures = [image.architecture for image in images.images]
    shared_name, releases = _release_names(path, architectures, name)
    if requested is not None and is_digest(requested.reference):
        raise ContentError(f"--image {requested}: a digest cannot be chosen; give REPOSITORY or REPOSITORY:TAG")
    named = [found for text in images.names if (found := _parsed(text)) is not None]
    repository = next((each.repository for each in named if each.repository), DEFAULT_REPOSITORY)
    tags = tuple(dict.fromkeys(each.reference for each in named if each.reference))
    if requested is not None:
        repository = requested.repository
        tags = (requested.reference,) if requested.reference else tags
    is_requested = requested is not None and requested.reference != ""
    return ImageNames(repository, releases, tags, is_requested, shared_name)


def _release_names(path: Path, architectures: Sequence[str], name: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the name that the releases have in common, and that of each architecture."""
    if len(architectures) == 1:
        return "", (checked_name(name or default_name(path, architectures[0])),)
    if len(set(architectures)) < len(architectures) or not all(re.fullmatch(r"\w+", each) for each in architectures):
        raise ContentError(
            f"{path.name} holds images of the architectures {', '.join(map(repr, architectures))}; a release is made "
            "for each, so they must differ: copy one image alone by skopeo copy --override-arch"
        )
    base = name or re.sub(r"-(amd64|arm64)\b", "", default_name(path, ""))
    return checked_name(base), tuple(checked_name(f"{base}-{architecture}") for architecture in architectures)


def _parsed(text: str) -> ImageName | None:
    """Read a reference of an archive: a tag alone, or a name; None if it is neither."""
    if is_tag(text):
        return ImageName("", text)
    try:
        found = ImageName.parse(text)
    except ValueError:
        return None
    return ImageName(found.repository, "" if is_digest(found.reference) else found.reference)
