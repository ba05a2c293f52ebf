"""Walks from a manifest to the blobs that it needs; used by the import, and for what the store has.

An index may name architectures that were not copied: it keeps its bytes, because its digest is what nodes pull.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from netboot.content.images.image_store import ImageStore, StoredManifest
from netboot.content.images.manifests import LARGEST_MANIFEST, Descriptor, Manifest, read_json, read_manifest
from netboot.errors import ContentError

_MOST_MANIFESTS: Final = 1000
_MOST_LEVELS: Final = 100  # of indexes in indexes; an image has one or two
_MOST_BLOBS: Final = 100_000
_OSTREE_COMMIT: Final = "ostree.commit"
_UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError)


class Blobs(Protocol):
    """Where blobs are: staging and store of an import, or the store."""

    def blob_size(self, digest: str) -> int | None: ...

    def read_blob(self, digest: str, most_bytes: int) -> bytes: ...


@dataclass(slots=True)
class WalkedImage:
    """What a manifest or index needs: its manifests and its other blobs, each with its size.

    `absent` are the platforms of an index that are not there, by digest; `missing` the blobs of its images that are
    not, which are a fault. `commits` are the OSTree commits in labels of configurations.
    """

    digest: str
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)
    platforms: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    @property
    def commit(self) -> str:
        return next(iter(self.commits), "")

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.manifests.values()) + sum(self.blobs.values())

    @property
    def digests(self) -> list[str]:
        """All blobs, the manifests last."""
        return [*self.blobs, *self.manifests]


def walk(descriptor: Descriptor, blobs: Blobs) -> WalkedImage:
    """Walk from a manifest or index; raise ContentError if a manifest is damaged."""
    walked = WalkedImage(descriptor.digest)
    _ImageWalk(blobs, walked).add(descriptor)
    return walked


def walk_stored(digest: str, stored: StoredManifest, blobs: Blobs) -> WalkedImage:
    return walk(Descriptor(digest, stored.size_bytes, stored.media_type), blobs)


def images_with(blob: str, store: ImageStore) -> list[str]:
    """Name the images of the store that have a blob, those with a tag first. Reads every manifest."""
    tagged, others = [], []
    for repository in store.repositories():
        for digest, stored in repository.manifests.items():
            if blob == digest or blob in _digests(digest, stored, store):
                tags = repository.tags_of(digest)
                tagged += [f"{repository.name}:{tag}" for tag in tags]
                others += [] if tags else [f"{repository.name}@{digest}"]
    return tagged + others


def _digests(digest: str, stored: StoredManifest, store: ImageStore) -> list[str]:
    try:
        return walk_stored(digest, stored, store).digests
    except ContentError:  # it is damaged itself
        return []


@dataclass(frozen=True, slots=True)
class _ImageWalk:
    blobs: Blobs
    walked: WalkedImage

    def add(self, descriptor: Descriptor, level: int = 1) -> None:
        if descriptor.digest in self.walked.manifests or not self._is_there(descriptor):
            return
        what = f"the manifest {descriptor.digest}"
        data = self.blobs.read_blob(descriptor.digest, LARGEST_MANIFEST)
        manifest = read_manifest(data, what, media_type=descriptor.media_type)
        self.walked.manifests[descriptor.digest] = StoredManifest(manifest.media_type, len(data))
        if len(self.walked.manifests) > _MOST_MANIFESTS:
            raise ContentError(f"the index {self.walked.digest} has more than {_MOST_MANIFESTS} manifests")
        if level > _MOST_LEVELS:
            raise ContentError(
                f"the index {self.walked.digest} has more than {_MOST_LEVELS} indexes, each in the other"
            )
        if manifest.is_index:
            self._add_children(manifest, level)
        else:
            self._add_image(manifest, descriptor)

    def _add_children(self, index: Manifest, level: int) -> None:
        for child in index.children:
            if self.blobs.blob_size(child.digest) is None:
                self.walked.absent[child.digest] = child.platform or child.digest
            elif child.is_manifest or child.platform:
                self.add(child, level + 1)
            elif self._is_there(child):
                self.walked.blobs[child.digest] = child.size_bytes

    def _add_image(self, manifest: Manifest, descriptor: Descriptor) -> None:
        for blob in manifest.blobs:
            if self._is_there(blob):
                self.walked.blobs[blob.digest] = blob.size_bytes
        if len(self.walked.blobs) + len(self.walked.missing) > _MOST_BLOBS:
            raise ContentError(f"the index {self.walked.digest} has more than {_MOST_BLOBS} blobs")
        if descriptor.is_attestation or manifest.config is None:
            return
        if manifest.config.digest not in self.walked.missing:
            architecture, commit = self._configured(manifest.config)
            self.walked.platforms.append(descriptor.platform or architecture)
            self.walked.commits += [commit] if commit else []

    def _configured(self, config: Descriptor) -> tuple[str, str]:
        """Return platform and OSTree commit of a configuration; of an artifact, whose one is no image's, none."""
        if config.size_bytes > LARGEST_MANIFEST:
            return "", ""
        try:
            read: Any = read_json(self.blobs.read_blob(config.digest, LARGEST_MANIFEST), "")
            platform = "/".join(str(read[key]) for key in ("os", "architecture") if read.get(key))
            labels = (read.get("config") or {}).get("Labels") or {}
            return platform, str(labels.get(_OSTREE_COMMIT) or "")
        except (ContentError, *_UNREADABLE):
            return "", ""

    def _is_there(self, descriptor: Descriptor) -> bool:
        size = self.blobs.blob_size(descriptor.digest)
        if size is None:
            self.walked.missing[descriptor.digest] = "it is missing"
        elif size != descriptor.size_bytes:
            self.walked.missing[descriptor.digest] = f"it has {size} bytes instead of {descriptor.size_bytes}"
        return size == descriptor.size_bytes
