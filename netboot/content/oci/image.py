"""A container image: its layers in order, each verified by its digest.

Reads OCI image layouts (image-spec v1.1: image-layout, descriptor, manifest, config) and what `docker save` writes
(`manifest.json`, Docker image spec v1.2). Names and media types are not trusted: the bytes decide.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final, cast

import zstandard

from netboot.content.library.progress import Progress
from netboot.content.oci.bundle import Part
from netboot.errors import ContentError

_LARGEST_JSON: Final = 4 << 20
_MOST_MANIFESTS: Final = 100  # and indexes
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")  # a frame, and a skippable one (zstd:chunked)
_OUTPUT_BYTES: Final = 1 << 20
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


def read_image(parts: Mapping[str, Part], source: str) -> Image:
    """Read the image in a container's files; raise ContentError, whose message names the container `source`."""
    try:
        if "index.json" in parts:
            return _oci_image(parts, source)
        if "manifest.json" in parts:
            return _docker_image(parts, source)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise ContentError(f"{source} is not a readable image: {type(error).__name__} {error}; {_AGAIN}") from error
    if any(name.startswith("blobs/") for name in parts):
        raise ContentError(f"{source} has blobs but no index.json: it is cut off; {_AGAIN}")
    raise ContentError(
        f"{source} holds no container image (no index.json, no manifest.json); "
        "import the file that ocne image create --type ostree wrote, or the directory of an OSTree archive"
    )


def _oci_image(parts: Mapping[str, Part], source: str) -> Image:
    found: dict[str, Any] = {}
    _gather_manifests(parts, _json(parts, "index.json", source), source, found)
    manifests = {digest: each for digest, each in found.items() if "manifests" not in each}
    if len(manifests) != 1:
        raise ContentError(f"{source} holds {len(manifests)} images; save one alone: skopeo copy … oci-archive:FILE")
    ((digest, manifest),) = manifests.items()
    config = _blob(parts, manifest["config"], source)
    diff_ids = config["rootfs"]["diff_ids"]
    if len(diff_ids) != len(manifest["layers"]):
        raise ContentError(
            f"{source}: its manifest has {len(manifest['layers'])} layers, its configuration has {len(diff_ids)}"
        )
    layers = (_layer(parts, each, diff_id, source) for each, diff_id in zip(manifest["layers"], diff_ids, strict=True))
    return Image(tuple(layers), str(config.get("architecture", "")), digest)


def _gather_manifests(parts: Mapping[str, Part], index: Any, source: str, found: dict[str, Any]) -> None:
    """Read the manifests of an index and of the indexes in it, each once."""
    for descriptor in index["manifests"]:
        is_attestation = (descriptor.get("platform") or {}).get("os") == "unknown"
        if is_attestation or descriptor["digest"] in found:
            continue
        blob = found[descriptor["digest"]] = _blob(parts, descriptor, source)
        if len(found) > _MOST_MANIFESTS:
            raise ContentError(f"{source} holds more than {_MOST_MANIFESTS} images; save one alone")
        if "manifests" in blob:
            _gather_manifests(parts, blob, source, found)


def _layer(parts: Mapping[str, Part], descriptor: Any, diff_id: str, source: str) -> Layer:
    if "encrypted" in (descriptor.get("mediaType") or ""):
        raise ContentError(f"{source}: layer {descriptor['digest']} is encrypted; save the image without encryption")
    return Layer(_blob_part(parts, descriptor, source), descriptor["digest"], _checked_digest(diff_id, source))


def _docker_image(parts: Mapping[str, Part], source: str) -> Image:
    images = _json(parts, "manifest.json", source)
    if len(images) != 1:
        raise ContentError(f"{source} holds {len(images)} images; save one alone: podman save NAME")
    (image,) = images
    text = parts[image["Config"]].read(_LARGEST_JSON) if image["Config"] in parts else b""
    config = json.loads(text)
    digest = hashlib.sha256(text).hexdigest()
    named = re.search(r"[0-9a-f]{64}", image["Config"])
    if named and named[0] != digest:
        raise ContentError(f"{source}: its configuration {image['Config']} has the checksum {digest}; {_AGAIN}")
    missing = [name for name in image["Layers"] if name not in parts]
    if missing:
        raise ContentError(f"{source} lacks {missing[0]}: it is cut off; {_AGAIN}")
    diff_ids = config["rootfs"]["diff_ids"]
    layers = (
        Layer(parts[name], None, _checked_digest(diff_id, source))
        for name, diff_id in zip(image["Layers"], diff_ids, strict=True)
    )
    return Image(tuple(layers), str(config.get("architecture", "")), f"sha256:{digest}")


def _checked_digest(digest: str, source: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ContentError(f"{source}: {digest!r} is no SHA-256 digest, and no other is known here; {_AGAIN}")
    return digest


def _json(parts: Mapping[str, Part], name: str, source: str) -> Any:
    try:
        return json.loads(parts[name].read(_LARGEST_JSON))
    except ValueError as error:
        raise ContentError(f"{source}: {name} is no JSON: {error}; {_AGAIN}") from error


def _blob_part(parts: Mapping[str, Part], descriptor: Any, source: str) -> Part:
    digest = _checked_digest(descriptor["digest"], source)
    part = parts.get(f"blobs/{digest.replace(':', '/')}")
    if part is None:
        raise ContentError(f"{source} lacks the blob {digest}: it is cut off or incomplete; {_AGAIN}")
    if part.size_bytes != descriptor["size"]:
        raise ContentError(
            f"{source}: the blob {digest} has {part.size_bytes} bytes instead of {descriptor['size']}; {_AGAIN}"
        )
    return part


def _blob(parts: Mapping[str, Part], descriptor: Any, source: str) -> Any:
    data = _blob_part(parts, descriptor, source).read(_LARGEST_JSON)
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor["digest"]:
        raise ContentError(f"{source}: the blob {descriptor['digest']} is damaged; {_AGAIN}")
    return json.loads(data)


def layer_chunks(
    layer: Layer, source: str, progress: Progress, *, reader: Callable[[int, bytes], None] | None = None
) -> Iterator[bytes]:
    """Yield the tar of a layer in pieces; at its end, raise ContentError if the blob or tar has another digest.

    The bytes are verified only when all of them were read. `reader` is called with the offset in the container's file
    and each piece of the blob.
    """
    blob_hash, tar_hash = hashlib.sha256(), hashlib.sha256()
    magic = layer.part.read(4)
    is_plain = not (magic[:2] == _GZIP or magic in _ZSTD)

    def blob() -> Iterator[bytes]:
        at = layer.part.offset
        for chunk in layer.part.chunks():
            if reader is not None:
                reader(at, chunk)
            at += len(chunk)
            if not is_plain:  # an uncompressed blob is the tar: hashed once
                blob_hash.update(chunk)
            progress.advance(len(chunk))
            yield chunk

    try:
        for chunk in blob() if is_plain else _inflated(blob(), magic):
            tar_hash.update(chunk)
            yield chunk
    except (zlib.error, zstandard.ZstdError, EOFError, MemoryError) as error:
        raise ContentError(f"{source}: layer {layer.diff_id} is damaged: {error}; {_AGAIN}") from error
    found = f"sha256:{(tar_hash if is_plain else blob_hash).hexdigest()}"
    if layer.digest not in (None, found):
        raise ContentError(f"{source}: the blob {layer.digest} is damaged, its checksum is {found}; {_AGAIN}")
    if layer.diff_id != (found := f"sha256:{tar_hash.hexdigest()}"):
        raise ContentError(f"{source}: layer {layer.diff_id} has the digest {found}; {_AGAIN}")


def _inflated(chunks: Iterator[bytes], magic: bytes) -> Iterator[bytes]:
    return _gunzipped(chunks) if magic[:2] == _GZIP else _unzstandarded(chunks)


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip of one or several members (RFC 1952 §2.2)."""
    inflate = None
    for chunk in chunks:
        while chunk:
            inflate = inflate or zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield inflate.decompress(chunk, _OUTPUT_BYTES)
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            if inflate.eof:
                inflate = None
    if inflate is not None:
        yield inflate.flush()
        if not inflate.eof:
            raise EOFError("it is cut off")


class _Readable:
    """The file interface that zstandard needs."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, _size: int = -1) -> bytes:
        return next(self._chunks, b"")


def _unzstandarded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack zstd of one or several frames, skippable ones too (RFC 8878 §3.1); pieces are bounded, also of a bomb.

    A cut-off frame ends early without an error; the digest of the tar detects it.
    """
    unpack = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    with unpack.stream_reader(cast(IO[bytes], _Readable(chunks)), read_across_frames=True) as reader:
        while chunk := reader.read(_OUTPUT_BYTES):
            yield chunk
