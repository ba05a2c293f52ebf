"""A container image: its layers in order, each verified by its digest.

Reads OCI image layouts (image-spec v1.1: image-layout, descriptor, manifest, config) and what `docker save` writes
(`manifest.json`, Docker image spec v1.2). Names and media types are not trusted: the bytes decide.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from netboot.content.library.progress import Progress
from netboot.content.oci.bundle import Part
from netboot.content.unpacking import MAGIC_BYTES, UNPACK_ERRORS, is_packed, unpacked
from netboot.errors import ContentError

_LARGEST_JSON: Final = 4 << 20
_MOST_MANIFESTS: Final = 100  # and indexes
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_AGAIN: Final = "copy the archive again, or make it again: ocne image create --type ostree"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `digest` is that of the stored blob (None in a Docker archive), `diff_id` that of the tar in it."""

    part: Part
    digest: str | None
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """One image; equal digests mean equal bytes."""

    layers: tuple[Layer, ...]
    architecture: str
    digest: str

    @property
    def size_bytes(self) -> int:
        """The size of the stored layers."""
        return sum(layer.part.size_bytes for layer in self.layers)


def read_image(parts: Mapping[str, Part], source: str) -> Image:
    """Read the image in a container's files; raise ContentError, whose message names the container `source`."""
    container = _Container(parts, source)
    try:
        if "index.json" in parts:
            return container.oci_image()
        if "manifest.json" in parts:
            return container.docker_image()
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise ContentError(f"{source} is not a readable image: {type(error).__name__} {error}; {_AGAIN}") from error
    if any(name.startswith("blobs/") for name in parts):
        raise ContentError(f"{source} has blobs but no index.json: it is cut off; {_AGAIN}")
    raise ContentError(
        f"{source} holds no container image (no index.json, no manifest.json); "
        "import the file that ocne image create --type ostree wrote, or the directory of an OSTree archive"
    )


@dataclass(frozen=True, slots=True)
class _Container:
    parts: Mapping[str, Part]
    source: str

    def oci_image(self) -> Image:
        found: dict[str, Any] = {}
        self._gather_manifests(self._json("index.json"), found)
        manifests = {digest: each for digest, each in found.items() if "manifests" not in each}
        if len(manifests) != 1:
            raise ContentError(
                f"{self.source} holds {len(manifests)} images; save one alone: skopeo copy … oci-archive:FILE"
            )
        ((digest, manifest),) = manifests.items()
        config = self._blob(manifest["config"])
        descriptors, diff_ids = manifest["layers"], config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(descriptors):
            raise ContentError(
                f"{self.source}: its manifest has {len(descriptors)} layers, its configuration has {len(diff_ids)}"
            )
        layers = tuple(map(self._layer, descriptors, diff_ids))
        return Image(layers, str(config.get("architecture", "")), digest)

    def _gather_manifests(self, index: Any, found: dict[str, Any]) -> None:
        """Read the manifests of an index and of the indexes in it, each once."""
        for descriptor in index["manifests"]:
            is_attestation = (descriptor.get("platform") or {}).get("os") == "unknown"
            if is_attestation or descriptor["digest"] in found:
                continue
            blob = found[descriptor["digest"]] = self._blob(descriptor)
            if len(found) > _MOST_MANIFESTS:
                raise ContentError(f"{self.source} holds more than {_MOST_MANIFESTS} images; save one alone")
            if "manifests" in blob:
                self._gather_manifests(blob, found)

    def _layer(self, descriptor: Any, diff_id: str) -> Layer:
        digest = descriptor["digest"]
        if "encrypted" in (descriptor.get("mediaType") or ""):
            raise ContentError(f"{self.source}: layer {digest} is encrypted; save the image without encryption")
        return Layer(self._blob_part(descriptor), digest, self._checked_digest(diff_id))

    def docker_image(self) -> Image:
        images = self._json("manifest.json")
        if len(images) != 1:
            raise ContentError(f"{self.source} holds {len(images)} images; save one alone: podman save NAME")
        (image,) = images
        text = self.parts[image["Config"]].read(_LARGEST_JSON) if image["Config"] in self.parts else b""
        config = json.loads(text)
        digest = hashlib.sha256(text).hexdigest()
        named = re.search(r"[0-9a-f]{64}", image["Config"])
        if named and named[0] != digest:
            raise ContentError(
                f"{self.source}: its configuration {image['Config']} has the checksum {digest}; {_AGAIN}"
            )
        missing = [name for name in image["Layers"] if name not in self.parts]
        if missing:
            raise ContentError(f"{self.source} lacks {missing[0]}: it is cut off; {_AGAIN}")
        layers = (
            Layer(self.parts[name], None, self._checked_digest(diff_id))
            for name, diff_id in zip(image["Layers"], config["rootfs"]["diff_ids"], strict=True)
        )
        return Image(tuple(layers), str(config.get("architecture", "")), f"sha256:{digest}")

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.parts[name].read(_LARGEST_JSON))
        except ValueError as error:
            raise ContentError(f"{self.source}: {name} is not JSON: {error}; {_AGAIN}") from error

    def _blob(self, descriptor: Any) -> Any:
        data = self._blob_part(descriptor).read(_LARGEST_JSON)
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor["digest"]:
            raise ContentError(f"{self.source}: the blob {descriptor['digest']} is damaged; {_AGAIN}")
        return json.loads(data)

    def _blob_part(self, descriptor: Any) -> Part:
        digest, size = self._checked_digest(descriptor["digest"]), descriptor["size"]
        part = self.parts.get(f"blobs/{digest.replace(':', '/')}")
        if part is None:
            raise ContentError(f"{self.source} lacks the blob {digest}: it is cut off or incomplete; {_AGAIN}")
        if part.size_bytes != size:
            raise ContentError(
                f"{self.source}: the blob {digest} has {part.size_bytes} bytes instead of {size}; {_AGAIN}"
            )
        return part

    def _checked_digest(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise ContentError(f"{self.source}: {digest!r} is not a SHA-256 digest, the only supported kind; {_AGAIN}")
        return digest


def layer_chunks(layer: Layer, source: str, progress: Progress) -> Iterator[bytes]:
    """Yield the tar of a layer in pieces; at its end, raise ContentError if the blob or tar has another digest."""
    blob_hash, tar_hash = hashlib.sha256(), hashlib.sha256()
    is_plain = not is_packed(layer.part.read(MAGIC_BYTES))

    def blob() -> Iterator[bytes]:
        for chunk in layer.part.chunks():
            if not is_plain:  # an uncompressed blob is the tar: hashed once
                blob_hash.update(chunk)
            progress.advance(len(chunk))
            yield chunk

    try:
        for chunk in unpacked(blob()):
            tar_hash.update(chunk)
            yield chunk
    except UNPACK_ERRORS as error:
        raise ContentError(f"{source}: layer {layer.diff_id} is damaged: {error}; {_AGAIN}") from error
    found = f"sha256:{(tar_hash if is_plain else blob_hash).hexdigest()}"
    if layer.digest not in (None, found):
        raise ContentError(f"{source}: the blob {layer.digest} is damaged, its checksum is {found}; {_AGAIN}")
    if layer.diff_id != (found := f"sha256:{tar_hash.hexdigest()}"):
        raise ContentError(f"{source}: layer {layer.diff_id} has the digest {found}; {_AGAIN}")
