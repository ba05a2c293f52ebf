"""Which images are ostree images of OCK, and what an image is that is none. Reads labels, and names of entries."""

import hashlib
import json
import posixpath
import re
from dataclasses import replace
from typing import Any, Final

from netboot.content.images.manifests import MANIFESTS, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from netboot.content.imports.layers import REPOSITORY as ARCHIVE
from netboot.content.imports.ostree_image.layer_objects import REPOSITORY
from netboot.content.oci.bundle import Part
from netboot.content.oci.image import Image, ImageDocument, ImageSet, Layer
from netboot.content.tar_stream import ByteStream, tar_members
from netboot.content.unpacking import MAGIC_BYTES, UNPACK_ERRORS, packing, unpacked
from netboot.errors import ContentError

COMMIT: Final = "ostree.commit"
FINAL: Final = "ostree.final-diffid"
COPY: Final = "skopeo copy docker://container-registry.oracle.com/olcne/ock-ostree:TAG oci-archive:FILE"
COPY_AGAIN: Final = f"copy it again: {COPY}"
_CHECKSUM: Final = re.compile(r"[0-9a-f]{64}")
_READ_BYTES: Final = 8 << 30  # of an image without labels, to find what it is
_MOST_LAYERS: Final = 1000
_SHOWN: Final = 100  # characters of a text that is not valid


def layer_name(image: Image, number: int) -> str:
    """Name a layer in messages; the first is 1."""
    return f"layer {number} of {len(image.layers)}"


def checked_commit(image: Image, source: str) -> str:
    """Return the commit that the labels name; raise ContentError for an image that cannot become a release."""
    commit = image.labels.get(COMMIT)
    if commit is None:
        raise ContentError(f"{source} {_what_it_is(image)}")
    if not _CHECKSUM.fullmatch(commit):
        raise ContentError(f"{source}: the label {COMMIT} is {commit!r}, which is no commit's checksum; {COPY_AGAIN}")
    if len(image.layers) > _MOST_LAYERS:
        raise ContentError(f"{source} has {len(image.layers)} layers, and an OCK image has some 100; {COPY_AGAIN}")
    diff_ids = [layer.diff_id for layer in image.layers]
    final = image.labels.get(FINAL, diff_ids[0] if diff_ids else "")
    if final not in diff_ids:
        raise ContentError(f"{source}: the label {FINAL} names {final!r}, and no layer has this DiffID; {COPY_AGAIN}")
    if diff_ids[-1] != final:
        number = len(diff_ids) - diff_ids[::-1].index(final) + 1
        raise ContentError(
            f"{source}: {layer_name(image, number)} ({diff_ids[number - 1]}) is derived: it is behind the layer that "
            f"{FINAL} names, and rpm-ostree of Oracle Linux 8 cannot take it; import the image as Oracle publishes it, "
            "and make changes by Ignition"
        )
    return commit


def check_media_types(images: ImageSet, source: str) -> None:
    """Raise ContentError if a manifest has not the media type of one: it becomes the `Content-Type` of an answer."""
    manifests = [each.manifest for each in (*images.images, *images.others) if each.manifest is not None]
    for blob in (*([images.index] if images.index else []), *images.inner_indexes, *manifests):
        if blob.media_type not in MANIFESTS:
            raise ContentError(
                f"{source}: the manifest {blob.digest} has the media type {blob.media_type[:_SHOWN]!r}, which is not "
                f"that of an image; {COPY_AGAIN}"
            )


def as_oci(image: Image) -> Image:
    """Make an OCI manifest over the configuration and the layers of an image from a Docker archive."""
    if image.manifest is not None:
        return image
    layers, descriptors = [], []
    for layer in image.layers:
        packed = packing(layer.part.read(MAGIC_BYTES))
        digest = f"sha256:{_sha256(layer.part)}" if packed else layer.diff_id
        layers.append(Layer(layer.part, digest, layer.diff_id))
        descriptors.append(_descriptor(f"{OCI_LAYER}{packed and '+'}{packed}", digest, layer.part.size_bytes))
    config = _descriptor(OCI_CONFIG, image.config.digest, len(image.config.data))
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": descriptors}
    data = json.dumps(manifest, separators=(",", ":")).encode()
    blob = ImageDocument(data, f"sha256:{hashlib.sha256(data).hexdigest()}", OCI_MANIFEST)
    return replace(image, layers=tuple(layers), manifest=blob, digest=blob.digest)


def _descriptor(media_type: str, digest: str, size_bytes: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size_bytes}


def _sha256(part: Part) -> str:
    digest = hashlib.sha256()
    for chunk in part.chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _what_it_is(image: Image) -> str:
    """Find what an image is that has no label of a commit, by the names in its layers."""
    left = _READ_BYTES
    for layer in image.layers:
        try:
            stream = ByteStream(unpacked(layer.part.chunks()))
            for member in tar_members(stream):
                path = posixpath.normpath(member.name).lstrip("/")
                if kind := _kind_by(path):
                    return kind
                left -= member.size_bytes + 512
                if left < 0:
                    break
                stream.skip(member.size_bytes)
        except (ContentError, *UNPACK_ERRORS):
            break
    return "is not an OSTree image of OCK but another container image; netboot content import-images FILE"


def _kind_by(path: str) -> str:
    if path.startswith(f"{ARCHIVE}/"):
        return "is an OSTree archive in a container; netboot content import-archive FILE"
    if path.startswith(f"{REPOSITORY}/objects/"):
        return f"has the objects of a commit and no label {COMMIT}, so nodes cannot update from it; {COPY_AGAIN}"
    if path.startswith("disk/"):
        return f"is a disk image in a container, for a hypervisor; copy the OSTree image: {COPY}"
    return ""
