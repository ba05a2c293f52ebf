"""The images of a container by its own index: OCI `index.json`, Docker's `manifest.json`, or skopeo's `dir:`.

A Docker archive has no manifest: one is made here, always the same for the same layers. So its digest is not that of
the registry that the image came from.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from netboot.content.images.image_source import AGAIN, Container
from netboot.content.images.manifests import (
    LARGEST_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    read_descriptors,
    read_json,
    read_manifest,
)
from netboot.content.images.staged_blobs import Blob, StagedBlobs
from netboot.content.unpacking import MAGIC_BYTES, UNPACK_ERRORS, is_packed, unpacked
from netboot.errors import ContentError
from netboot.model.image_name import ImageName, is_tag

_FULL_NAME: Final = "io.containerd.image.name"
_REF_NAME: Final = "org.opencontainers.image.ref.name"
_NO_TAG: Final = "latest"  # as docker and Kubernetes read a name without a tag
_CHECKSUM: Final = re.compile(r"[0-9a-f]{64}")
_UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class FoundImage:
    """A manifest or index of a container; `name` is None, or without a repository only a `tag`, if it has no more."""

    descriptor: Descriptor
    name: ImageName | None = None
    tag: str = ""


def images_of(container: Container, blobs: StagedBlobs) -> list[FoundImage]:
    """List the images of a container, once for each name; raise ContentError if it has none or is damaged."""
    if (index := container.find("index.json")) is not None:
        what = f"{container.name}: index.json"
        descriptors = read_descriptors(read_json(blobs.read_blob(index.digest, LARGEST_MANIFEST), what), what)
        return [_named(descriptor, container.name) for descriptor in descriptors]
    found = container.find("manifest.json")
    if found is None:
        raise ContentError(f"{container.name} holds no container image (no index.json, no manifest.json); {AGAIN}")
    what = f"{container.name}: manifest.json"
    data = blobs.read_blob(found.digest, LARGEST_MANIFEST)
    read = read_json(data, what)
    if isinstance(read, dict):
        manifest = read_manifest(data, what)
        return [FoundImage(Descriptor(found.digest, found.size_bytes, manifest.media_type))]
    try:
        return [image for each in read for image in _docker_images(container, each, blobs)]
    except _UNREADABLE as error:
        raise ContentError(f"{what} is not that of an image: {type(error).__name__} {error}; {AGAIN}") from error


def _named(descriptor: Descriptor, container: str) -> FoundImage:
    annotations = descriptor.annotations or {}
    text = annotations.get(_FULL_NAME) or annotations.get(_REF_NAME) or ""
    if is_tag(text):
        return FoundImage(descriptor, tag=text)
    return FoundImage(descriptor, archived_name(text, container) if text else None)


def archived_name(text: str, container: str) -> ImageName:
    """Read the name of an image as an archive has it; `ocne` writes a colon also without a tag."""
    try:
        name = ImageName.parse(text.removesuffix(":"))
    except ValueError as error:
        raise ContentError(f"{container} names an image {text!r}: {error}; save it again under another name") from None
    return name if name.reference else ImageName(name.repository, _NO_TAG)


def _docker_images(container: Container, read: Any, blobs: StagedBlobs) -> Iterator[FoundImage]:
    """Make the manifest of an image of a Docker archive, whose layers are those that its configuration names."""
    config = _member(container, read["Config"])
    what = f"{container.name}: {read['Config']!r}"
    named = _CHECKSUM.search(read["Config"])
    if named is not None and f"sha256:{named[0]}" != config.digest:
        raise ContentError(f"{what} is damaged, its checksum is {config.digest}; {AGAIN}")
    diff_ids = read_json(blobs.read_blob(config.digest, LARGEST_MANIFEST), what)["rootfs"]["diff_ids"]
    layers = [_member(container, path) for path in read["Layers"]]
    if len(diff_ids) != len(layers):
        raise ContentError(f"{what} names {len(diff_ids)} layers, and there are {len(layers)}; {AGAIN}")
    described = []
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        packing, found = _tar_of(layer, blobs, what)
        if found != diff_id:
            raise ContentError(f"{what}: the layer {diff_id} is damaged, its checksum is {found}; {AGAIN}")
        described.append({"mediaType": OCI_LAYER + packing, "digest": layer.digest, "size": layer.size_bytes})
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size_bytes},
        "layers": described,
    }
    data = json.dumps(manifest, separators=(",", ":")).encode()
    made = blobs.put([data], len(data))
    descriptor = Descriptor(made.digest, made.size_bytes, OCI_MANIFEST)
    tags = read.get("RepoTags") or []
    if not tags:
        yield FoundImage(descriptor)
    for text in tags:
        yield FoundImage(descriptor, archived_name(text, container.name))


def _member(container: Container, path: str) -> Blob:
    found = container.find(path)
    if found is None:
        raise ContentError(f"{container.name} lacks {path!r}: it is cut off; {AGAIN}")
    return found


def _tar_of(layer: Blob, blobs: StagedBlobs, what: str) -> tuple[str, str]:
    """Return the suffix of the media type of a layer, and the digest of the tar in it."""
    magic = next(blobs.chunks(layer.digest), b"")[:MAGIC_BYTES]
    if not is_packed(magic):
        return "", layer.digest
    found = hashlib.sha256()
    try:
        for chunk in unpacked(blobs.chunks(layer.digest)):
            found.update(chunk)
    except UNPACK_ERRORS as error:
        raise ContentError(f"{what}: a layer is damaged: {error}; {AGAIN}") from error
    return ("+zstd" if magic.startswith(b"\x28\xb5\x2f\xfd") else "+gzip"), f"sha256:{found.hexdigest()}"
