"""Builds the release of one image in staging from its verified blobs: verifies each object, then the whole commit."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.content.imports.ostree_image.image_blobs import ImageBlobs
from netboot.content.imports.ostree_image.layer_objects import ImageObjects, LayerObjects
from netboot.content.imports.ostree_image.object_writer import FileObjectWriter
from netboot.content.imports.ostree_image.ostree_images import COPY_AGAIN, layer_name
from netboot.content.library.disk import megabytes
from netboot.content.library.library import Staging
from netboot.content.library.progress import Progress
from netboot.content.oci.bundle import Part
from netboot.content.oci.image import Image, Layer
from netboot.content.ostree.fsck import ArchiveCheck, evaluate
from netboot.content.ostree.object_check import DirectoryCheck
from netboot.content.ostree.release_writer import ReleaseWriter
from netboot.content.ostree.repository import PREFERRED_REF
from netboot.content.tar_stream import ByteStream
from netboot.content.unpacking import MAGIC_BYTES, UNPACK_ERRORS, is_packed, unpacked
from netboot.errors import ContentError

_CONFIG: Final = b"[core]\nrepo_version=1\nmode=archive-z2\n"
_SHOWN_OBJECTS: Final = 3
_LARGEST_RATIO: Final = 200  # of unpacked to packed bytes of a layer, when it is larger than:
_SMALL_LAYER_BYTES: Final = 1 << 30


class _NoSpaceError(ContentError):
    """The disk, not the image, is the cause."""


class UnpackLimit:
    """Limits what all layers of an import unpack to: to what the disk could hold."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._most_bytes = shutil.disk_usage(directory).free
        self._bytes = 0

    def add(self, count: int, where: str) -> None:
        """Count bytes; raise ContentError beyond the limit."""
        self._bytes += count
        if self._bytes > self._most_bytes:
            raise _NoSpaceError(
                f"{where}: the image unpacks to more than the {megabytes(self._most_bytes)} that are free in "
                f"{self._directory.parent.parent}; netboot content gc, remove a release, or enlarge the file system"
            )


@dataclass(frozen=True, slots=True)
class BuiltRelease:
    """A complete release in staging, without the objects that the commit does not reach."""

    check: ArchiveCheck
    size_bytes: int
    linked_bytes: int


@dataclass(frozen=True, slots=True)
class ReleaseBuild:
    """`donors` are directories whose equal objects are linked."""

    root: Path
    source: str
    blobs: ImageBlobs
    donors: Sequence[Path]
    limit: UnpackLimit
    staging: Staging
    progress: Progress

    def run(self, image: Image, commit: str) -> BuiltRelease:
        """Write and verify all objects; raise ContentError with layer, entry and cure."""
        reserve = self.staging.check_reserve
        writer = ReleaseWriter(self.root, self.donors, check_reserve=reserve, on_complete=lambda _: None)

        def write(member: str, data: bytes) -> None:
            writer.put(member, len(data), ByteStream(iter([data])))

        with FileObjectWriter(self.root, self.donors, check_reserve=reserve) as files:
            found = ImageObjects(commit, files, write)
            for number, layer in enumerate(image.layers, 1):
                where = f"{self.source}: {layer_name(image, number)}"
                try:
                    LayerObjects(found, self.source, where).read(ByteStream(self._tar(layer, where)))
                    if number == len(image.layers):
                        files.finish()
                except _NoSpaceError:
                    raise
                except ContentError as error:
                    raise _with_cure(str(error), self.source, where) from error
        write("config", _CONFIG)
        write(f"refs/heads/{PREFERRED_REF}", f"{commit}\n".encode())
        sizes = files.sizes | {key: size for key, size in found.metadata.items() if not key.endswith(".commitmeta")}
        checked = DirectoryCheck(list(sizes), {}, found.refers, sum(sizes.values()))
        check = evaluate(self.root, self.source, {"": checked})
        self._raise_for_missing(check, commit)
        for member in check.unreferred:  # no pull requests them
            (self.root / member).unlink()
        size_bytes = check.size_bytes - sum(sizes[member[8:10] + member[11:]] for member in check.unreferred)
        return BuiltRelease(check, size_bytes, writer.linked_bytes + files.linked_bytes)

    def _tar(self, layer: Layer, where: str) -> Iterator[bytes]:
        """Yield the tar of a verified blob in pieces; at its end, raise ContentError if it has another DiffID."""
        assert layer.digest is not None
        part = self.blobs.layer(layer.digest)
        is_plain = not is_packed(part.read(MAGIC_BYTES))
        digest, size = hashlib.sha256(), 0
        try:
            for chunk in unpacked(self._counted(part)):
                if not is_plain:  # the verified blob is the tar
                    digest.update(chunk)
                size += len(chunk)
                if size > max(_SMALL_LAYER_BYTES, _LARGEST_RATIO * part.size_bytes):
                    raise ContentError(
                        f"{where} unpacks to more than {_LARGEST_RATIO} times its size, which no OCK image does"
                    )
                self.limit.add(len(chunk), where)
                yield chunk
        except UNPACK_ERRORS as error:
            raise ContentError(f"{where} cannot be unpacked: {error}") from error
        found = layer.digest if is_plain else f"sha256:{digest.hexdigest()}"
        if found != layer.diff_id:
            raise ContentError(f"{where} is damaged: its tar has the DiffID {found} instead of {layer.diff_id}")

    def _counted(self, part: Part) -> Iterator[bytes]:
        for chunk in part.chunks():
            self.progress.advance(len(chunk))
            yield chunk

    def _raise_for_missing(self, check: ArchiveCheck, commit: str) -> None:
        missing = [member.removeprefix("objects/").replace(".filez", ".file") for member in check.faults]
        if not missing:
            return
        if any(member.endswith(".commit") for member in missing):
            what = f"no layer has the commit {commit}, which the label ostree.commit names"
        else:
            shown = ", ".join(missing[:_SHOWN_OBJECTS])
            more = f" and {len(missing) - _SHOWN_OBJECTS} more" if len(missing) > _SHOWN_OBJECTS else ""
            what = f"no layer has the object {shown}{more}, to which the commit refers"
        raise ContentError(f"{self.source} is not complete: {what}; {COPY_AGAIN}")


def _with_cure(text: str, source: str, where: str) -> ContentError:
    """Return the fault of a layer with its place and its cure."""
    placed = text if text.startswith(f"{source}: ") else f"{where} is damaged: {text}"
    return ContentError(placed if COPY_AGAIN in placed else f"{placed}; {COPY_AGAIN}")
