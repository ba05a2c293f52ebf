"""The containers of images in a source: a directory, a tar, or a tar of `N.oci` archives (`ocne catalog mirror`).

A tar is read once, from front to back, packed or not; each file in it becomes a blob in staging. No name of a source is
a path on disk. OCI image-layout v1.1, Docker image spec v1.2, `containers-transports(5)`.
"""

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netboot.content.foreign_files import HEAD_BYTES, ISO, foreign_kind
from netboot.content.images.staged_blobs import Blob, StagedBlobs
from netboot.content.library.disk import cannot_read
from netboot.content.library.progress import Progress
from netboot.content.tar_stream import HARD_LINK, REGULAR, ByteStream, tar_members
from netboot.content.unpacking import UNPACK_ERRORS, unpacked
from netboot.errors import ContentError
from netboot.model.image_name import is_digest

MOST_MEMBERS: Final = 10_000  # of one container; an unpacked file system has more
MOST_CONTAINERS: Final = 1000
AGAIN: Final = "copy it again and compare its checksum, or make it again"
_CHUNK_BYTES: Final = 1 << 20
_BLOBS: Final = "blobs/sha256/"
_NESTED: Final = ".oci"  # as `ocne catalog mirror --download` names them
_SYMLINK: Final = b"2"


@dataclass(slots=True)
class Container:
    """The files of one container, each a blob, by the names that they have in it. `name` is for messages."""

    name: str
    files: dict[str, Blob] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, blob: Blob) -> None:
        if path in self.files and self.files[path] != blob:
            raise ContentError(f"it has two files {path!r}")
        self.files[path] = blob

    def find(self, path: str) -> Blob | None:
        """Find a file by its name, or by that of a link to it."""
        path = posixpath.normpath(path)
        return self.files.get(path) or self.files.get(self.links.get(path, ""))


def read_containers(source: Path, blobs: StagedBlobs, progress: Progress) -> list[Container]:
    """Stage all files of a source; raise ContentError, with the name of the source, if it is damaged or none."""
    try:
        if source.is_dir():
            return [_directory(source, blobs, progress)]
        return _tar(source, blobs, progress)
    except UNPACK_ERRORS as error:
        raise ContentError(f"{source} is damaged or cut off ({error}); {AGAIN}") from error


def _directory(source: Path, blobs: StagedBlobs, progress: Progress) -> Container:
    container = Container(str(source))
    found = [Path(parent) / name for parent, _, names in os.walk(source) for name in names]
    if len(found) > MOST_MEMBERS:
        raise ContentError(f"{source} has more than {MOST_MEMBERS} files and is not a container image")
    files = [(path, path.stat().st_size) for path in found if path.is_file()]
    progress.step(f"reading {source.name}", sum(size for _, size in files))
    for path, size in sorted(files):
        stream = ByteStream(_chunks(path, progress))
        with _naming(str(source)):
            name = path.relative_to(source).as_posix()
            container.add(name, _staged(name, stream, size, blobs))
    return container


def _tar(source: Path, blobs: StagedBlobs, progress: Progress) -> list[Container]:
    if not source.is_file() or source.is_fifo():
        raise ContentError(f"there is no file and no directory {source}; save an image: skopeo copy … oci-archive:FILE")
    with source.open("rb") as file:
        kind = foreign_kind(file.read(HEAD_BYTES))
    if kind is not None:
        raise ContentError(f"{source} is {kind}" if kind == ISO else f"{source} is {kind}, and no container image")
    progress.step(f"reading {source.name}", source.stat().st_size)
    stream = ByteStream(unpacked(_chunks(source, progress)))
    found = list(_containers(stream, str(source), blobs, nests=True))
    if not found:
        raise ContentError(f"{source} holds no container image: it is an empty tar; {AGAIN}")
    return found


def _containers(stream: ByteStream, name: str, blobs: StagedBlobs, *, nests: bool) -> Iterator[Container]:
    """Stage the members of a tar; yield a container for each archive in it, and for the files of its own."""
    own, count = Container(name), 0
    with _naming(name):
        for number, member in enumerate(tar_members(stream)):
            path = posixpath.normpath(member.name).lstrip("/")
            if number >= MOST_MEMBERS or count >= MOST_CONTAINERS:
                raise ContentError(f"it has more than {number} members and is not an archive of container images")
            if member.kind in (_SYMLINK, HARD_LINK):
                parent = posixpath.dirname(path) if member.kind == _SYMLINK else ""
                own.links[path] = posixpath.normpath(posixpath.join(parent, member.link))
            elif member.kind not in REGULAR:
                stream.skip(member.size_bytes)
            elif nests and path.endswith(_NESTED):
                inner, count = ByteStream(stream.pieces(member.size_bytes)), count + 1
                yield from _containers(inner, f"{name}, {path!r} in it", blobs, nests=False)
                for _ in inner.rest():
                    pass
            else:
                own.add(path, _staged(path, stream, member.size_bytes, blobs))
        if stream.is_at_end():
            raise ContentError("it is cut off: it has no end marker")
    if own.files:
        yield own


def _staged(path: str, stream: ByteStream, size_bytes: int, blobs: StagedBlobs) -> Blob:
    """Stage the next file of a stream, or skip a blob that is on disk already and sound."""
    digest = f"sha256:{path.removeprefix(_BLOBS)}" if path.startswith(_BLOBS) else ""
    if is_digest(digest) and blobs.has_sound_blob(digest, size_bytes):
        stream.skip(size_bytes)
        return Blob(digest, size_bytes)
    return blobs.put(stream.pieces(size_bytes), size_bytes, wanted=digest if is_digest(digest) else "")


class _SourceError(ContentError):
    """A fault of a source, with its name and a cure."""


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the name of a container before the fault of its content, and a cure behind one that has none."""
    try:
        yield
    except _SourceError:
        raise
    except ContentError as error:
        cure = "" if "; " in str(error) else f"; {AGAIN}"
        raise _SourceError(f"{name}: {error}{cure}") from error


def _chunks(path: Path, progress: Progress) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                progress.advance(len(chunk))
                yield chunk
    except OSError as error:
        raise cannot_read(path, error) from error
