"""The manifests and indexes of images, and what they name: other manifests, configurations and layers. Pure.

OCI image-spec v1.1 (image manifest, image index) and Docker's version 2, schema 2. The bytes decide what a manifest is;
a media type becomes the `Content-Type` of an answer, so only known ones are accepted.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from netboot.errors import ContentError
from netboot.model.image_name import is_digest

LARGEST_MANIFEST: Final = 4 << 20
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
_INDEXES: Final = frozenset({OCI_INDEX, _DOCKER_INDEX})
MANIFESTS: Final = frozenset({OCI_MANIFEST, _DOCKER_MANIFEST}) | _INDEXES
_MOST_NAMED: Final = 10_000
_UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What names a blob: its digest and size, its media type, and the platform of a manifest (`linux/arm64`)."""

    digest: str
    size_bytes: int
    media_type: str = ""
    platform: str = ""
    annotations: Mapping[str, str] | None = None

    @property
    def is_manifest(self) -> bool:
        return self.media_type in MANIFESTS

    @property
    def is_attestation(self) -> bool:
        """It describes another image and is none (buildkit's attestation storage)."""
        return self.platform.startswith("unknown")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index: `children` are the manifests of an index, `blobs` the configuration and the layers."""

    media_type: str
    children: tuple[Descriptor, ...] = ()
    blobs: tuple[Descriptor, ...] = ()

    @property
    def is_index(self) -> bool:
        return self.media_type in _INDEXES

    @property
    def config(self) -> Descriptor | None:
        return self.blobs[0] if self.blobs else None


def read_json(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"{what} is not JSON: {error}") from error


def read_manifest(data: bytes, what: str, *, media_type: str = "") -> Manifest:
    """Read a manifest or index; `media_type` is that of its descriptor. Raises ContentError that begins with `what`."""
    read = read_json(data, what)
    try:
        given = read.get("mediaType") or media_type
        if "manifests" in read:
            kind = given or OCI_INDEX
            found = Manifest(kind, children=tuple(_descriptors(read["manifests"])))
        else:
            kind = given or OCI_MANIFEST
            found = Manifest(kind, blobs=tuple(_descriptors([read["config"], *read["layers"]])))
    except _UNREADABLE as error:
        raise ContentError(f"{what} is not a manifest of an image: {type(error).__name__} {error}") from error
    if kind not in MANIFESTS or found.is_index != ("manifests" in read):
        raise ContentError(f"{what} has the media type {kind!r}, which is not that of an image")
    return found


def read_descriptors(read: Any, what: str) -> list[Descriptor]:
    """Read the descriptors of an `index.json`; raise ContentError that begins with `what`."""
    try:
        return list(_descriptors(read["manifests"]))
    except _UNREADABLE as error:
        raise ContentError(f"{what} is not an index of images: {type(error).__name__} {error}") from error


def _descriptors(read: Any) -> Iterator[Descriptor]:
    if len(read) > _MOST_NAMED:
        raise ValueError(f"it names more than {_MOST_NAMED} blobs")
    for each in read:
        digest, size = each["digest"], each["size"]
        if not isinstance(digest, str) or not is_digest(digest):
            raise ValueError(f"{digest!r} is not a SHA-256 digest, the only supported kind")
        if type(size) is not int or size < 0:
            raise ValueError(f"{size!r} is not a size")
        annotations = {str(key): str(value) for key, value in (each.get("annotations") or {}).items()}
        yield Descriptor(digest, size, str(each.get("mediaType") or ""), _platform(each.get("platform")), annotations)


def _platform(read: Any) -> str:
    if not read:
        return ""
    parts = (read.get("os"), read.get("architecture"), read.get("variant"))
    return "/".join(part for part in parts if isinstance(part, str) and part.isprintable() and part)
