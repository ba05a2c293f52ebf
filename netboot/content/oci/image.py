"""A container image: its layers in order, each verified by its digest.

Reads OCI image layouts (image-spec v1.1: image-layout, descriptor, manifest, config) and what `docker save` writes
(`manifest.json`, Docker image spec v1.2). Names and media types are not trusted: the bytes decide.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from netboot.content.images.manifests import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from netboot.content.library.progress import Progress
from netboot.content.oci.bundle import Part
from netboot.content.unpacking import MAGIC_BYTES, UNPACK_ERRORS, is_packed, unpacked
from netboot.errors import ContentError

LARGEST_JSON: Final = 4 << 20
_REF_NAME: Final = "org.opencontainers.image.ref.name"
_MOST_MANIFESTS: Final = 100  # and indexes
_MOST_MANIFEST_BYTES: Final = 8 << 20  # of all together: read, each byte may be 30 bytes of memory
_ARCHITECTURE: Final = re.compile(r"\w{0,32}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_AGAIN: Final = "copy the archive again, or make it again: ocne image create --type ostree"


@dataclass(frozen=True, slots=True)
class ImageDocument:
    """A manifest, index or configuration, whose bytes its digest verifies."""

    data: bytes
    digest: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. `digest` is that of the stored blob (None in a Docker archive), `diff_id` that of the tar in it."""

    part: Part
    digest: str | None
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """One image; equal digests mean equal bytes. A Docker archive has no manifest."""

    layers: tuple[Layer, ...]
    architecture: str
    digest: str
    config: ImageDocument
    manifest: ImageDocument | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """The size of the stored layers."""
        return sum(layer.part.size_bytes for layer in self.layers)


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images of a container: one, or one for each architecture. `names` are the references it gives them.

    `index` is the index that names them all, None if there is one image without one. `others` belong to the index and
    are no images of an architecture (attestations).
    """

    images: tuple[Image, ...]
    index: ImageDocument | None = None
    inner_indexes: tuple[ImageDocument, ...] = ()
    others: tuple[Image, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return self.index.digest if self.index else self.images[0].digest


def read_image(parts: Mapping[str, Part], source: str) -> Image:
    """Read the one image in a container's files; raise ContentError, whose message names the container `source`."""
    (image,) = read_images(parts, source, most=1).images
    return image


def read_images(
    parts: Mapping[str, Part], source: str, again: str = _AGAIN, *, most: int = _MOST_MANIFESTS
) -> ImageSet:
    """Read the images in a container's files, not more than `most`; raise ContentError, whose cure is `again`."""
    container = _Container(parts, source, again, most)
    try:
        if "index.json" in parts:
            return container.oci_images()
        if "manifest.json" in parts:
            return container.docker_image()
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise ContentError(f"{source} is not a readable image: {type(error).__name__} {error}; {again}") from error
    if any(name.startswith("blobs/") for name in parts):
        raise ContentError(f"{source} has blobs but no index.json: it is cut off; {again}")
    raise ContentError(f"{source} holds no container image (no index.json, no manifest.json); {again}")


@dataclass(frozen=True, slots=True)
class _Container:
    parts: Mapping[str, Part]
    source: str
    again: str
    most: int

    def oci_images(self) -> ImageSet:
        text = self.parts["index.json"].read(LARGEST_JSON)
        index = self._json("index.json")
        found: dict[str, tuple[ImageDocument, Any]] = {}
        attested: dict[str, tuple[ImageDocument, Any]] = {}
        self._gather_manifests(index, found, attested)
        manifests = [each for each in found.values() if "manifests" not in each[1]]
        indexes = tuple(blob for blob, read in found.values() if "manifests" in read)
        top = {each["digest"] for each in index["manifests"] if each["digest"] in found}
        annotations = [each.get("annotations") or {} for each in index["manifests"] if each["digest"] in found]
        names = tuple(dict.fromkeys(str(each[_REF_NAME]) for each in annotations if each.get(_REF_NAME)))
        is_mixed = len(top) > 1 and (indexes or len(names) > 1)  # not one image for several architectures
        if not 0 < len(manifests) <= self.most or is_mixed:
            raise ContentError(
                f"{self.source} holds {len(manifests)} images; save one alone: skopeo copy … oci-archive:FILE"
            )
        images = tuple(self._oci_image(*each) for each in manifests)
        others = tuple(self._oci_image(*each) for each in attested.values() if {"config", "layers"} <= each[1].keys())
        if len(top) > 1:  # index.json itself is the index of several architectures
            named = ImageDocument(text, f"sha256:{hashlib.sha256(text).hexdigest()}", OCI_INDEX)
            return ImageSet(images, named, (), others, names)
        outer = next((blob for blob in indexes if blob.digest in top), None)
        return ImageSet(images, outer, tuple(blob for blob in indexes if blob is not outer), others, names)

    def _oci_image(self, blob: ImageDocument, manifest: Any) -> Image:
        config_blob, config = self._blob(manifest["config"])
        descriptors, diff_ids = manifest["layers"], config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(descriptors):
            raise ContentError(
                f"{self.source}: its manifest has {len(descriptors)} layers, its configuration has {len(diff_ids)}"
            )
        layers = tuple(map(self._layer, descriptors, diff_ids))
        return Image(layers, self._architecture(config), blob.digest, config_blob, blob, _labels(config))

    def _architecture(self, config: Any) -> str:
        architecture = str(config.get("architecture", ""))
        if not _ARCHITECTURE.fullmatch(architecture):
            raise ContentError(f"{self.source}: its configuration has the architecture {architecture!r}; {self.again}")
        return architecture

    def _gather_manifests(
        self, index: Any, found: dict[str, tuple[ImageDocument, Any]], attested: dict[str, tuple[ImageDocument, Any]]
    ) -> None:
        """Read the manifests of an index and of the indexes in it, each once; attestations that are there, apart."""
        for descriptor in index["manifests"]:
            is_attestation = (descriptor.get("platform") or {}).get("os") == "unknown"
            into = attested if is_attestation else found
            if descriptor["digest"] in into or (is_attestation and not self._has(descriptor["digest"])):
                continue
            into[descriptor["digest"]] = _, read = self._manifest(descriptor)
            if len(into) > _MOST_MANIFESTS:
                raise ContentError(f"{self.source} holds more than {_MOST_MANIFESTS} images; save one alone")
            if sum(len(blob.data) for blob, _ in into.values()) > _MOST_MANIFEST_BYTES:
                raise ContentError(
                    f"{self.source} has more than {_MOST_MANIFEST_BYTES} bytes of manifests; {self.again}"
                )
            if "manifests" in read and not is_attestation:
                self._gather_manifests(read, found, attested)

    def _layer(self, descriptor: Any, diff_id: str) -> Layer:
        digest = descriptor["digest"]
        if "encrypted" in (descriptor.get("mediaType") or ""):
            raise ContentError(f"{self.source}: layer {digest} is encrypted; save the image without encryption")
        return Layer(self._blob_part(descriptor), digest, self._checked_digest(diff_id))

    def docker_image(self) -> ImageSet:
        images = self._json("manifest.json")
        if not isinstance(images, list):
            raise ContentError(
                f"{self.source} is what skopeo's `dir:` writes; skopeo copy dir:DIR oci-archive:FILE, and import that"
            )
        if len(images) != 1:
            raise ContentError(f"{self.source} holds {len(images)} images; save one alone: podman save NAME")
        (image,) = images
        text = self.parts[image["Config"]].read(LARGEST_JSON) if image["Config"] in self.parts else b""
        config = json.loads(text)
        digest = hashlib.sha256(text).hexdigest()
        named = re.search(r"[0-9a-f]{64}", image["Config"])
        if named and named[0] != digest:
            raise ContentError(
                f"{self.source}: its configuration {image['Config']!r} has the checksum {digest}; {self.again}"
            )
        missing = [name for name in image["Layers"] if name not in self.parts]
        if missing:
            raise ContentError(f"{self.source} lacks {missing[0]!r}: it is cut off; {self.again}")
        layers = (
            Layer(self.parts[name], None, self._checked_digest(diff_id))
            for name, diff_id in zip(image["Layers"], config["rootfs"]["diff_ids"], strict=True)
        )
        blob = ImageDocument(text, f"sha256:{digest}", OCI_CONFIG)
        read = Image(tuple(layers), self._architecture(config), blob.digest, blob, labels=_labels(config))
        return ImageSet((read,), names=tuple(map(str, image.get("RepoTags") or ())))

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.parts[name].read(LARGEST_JSON))
        except ValueError as error:
            raise ContentError(f"{self.source}: {name} is not JSON: {error}; {self.again}") from error

    def _manifest(self, descriptor: Any) -> tuple[ImageDocument, Any]:
        """Read a manifest or index, with the media type that it states, whatever that is."""
        blob, read = self._blob(descriptor)
        default = OCI_INDEX if "manifests" in read else OCI_MANIFEST
        media_type = read.get("mediaType") or descriptor.get("mediaType") or default
        return replace(blob, media_type=str(media_type)), read

    def _blob(self, descriptor: Any) -> tuple[ImageDocument, Any]:
        data = self._blob_part(descriptor).read(LARGEST_JSON)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if digest != descriptor["digest"]:
            raise ContentError(f"{self.source}: the blob {descriptor['digest']} is damaged; {self.again}")
        return ImageDocument(data, digest, OCI_CONFIG), json.loads(data)

    def _has(self, digest: str) -> bool:
        return f"blobs/{self._checked_digest(digest).replace(':', '/')}" in self.parts

    def _blob_part(self, descriptor: Any) -> Part:
        digest, size = self._checked_digest(descriptor["digest"]), descriptor["size"]
        part = self.parts.get(f"blobs/{digest.replace(':', '/')}")
        if part is None:
            raise ContentError(f"{self.source} lacks the blob {digest}: it is cut off or incomplete; {self.again}")
        if part.size_bytes != size:
            raise ContentError(
                f"{self.source}: the blob {digest} has {part.size_bytes} bytes instead of {size}; {self.again}"
            )
        return part

    def _checked_digest(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise ContentError(
                f"{self.source}: {digest!r} is not a SHA-256 digest, the only supported kind; {self.again}"
            )
        return digest


def _labels(config: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in ((config.get("config") or {}).get("Labels") or {}).items()}


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
