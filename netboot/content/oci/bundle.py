"""The files of a container: members of a tar, or files of a directory, each a part of a file on disk.

A tar ends at its end marker: `ocne` overwrites an older, longer file without truncating it, and the bytes behind the
marker belong to that file. Only small files are loaded whole.
"""

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Final, Self

from netboot.content.library.disk import cannot_read
from netboot.content.tar_stream import HARD_LINK, REGULAR, SYMLINK, ByteStream, tar_members
from netboot.errors import ContentError

CHUNK_BYTES: Final = 1 << 20
MOST_MEMBERS: Final = 10_000  # of a container image; an unpacked file system has more
_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Part:
    path: Path
    offset: int
    size_bytes: int

    @classmethod
    def whole(cls, path: Path) -> Self:
        return cls(path, 0, path.stat().st_size)

    def chunks(self) -> Iterator[bytes]:
        """Read it in pieces; raise ContentError if it cannot be read, or became shorter."""
        with self._open() as file:
            left = self.size_bytes
            while left:
                chunk = file.read(min(left, CHUNK_BYTES))
                if not chunk:
                    raise ContentError(f"{self.path} became shorter while it was read; import it when it is complete")
                left -= len(chunk)
                yield chunk

    def read(self, most_bytes: int) -> bytes:
        """Read it whole, or its first `most_bytes`."""
        with self._open() as file:
            return file.read(min(self.size_bytes, most_bytes)) or b""

    @contextmanager
    def _open(self) -> Iterator[FileIO]:
        try:
            with FileIO(self.path) as file:
                file.seek(self.offset)
                yield file
        except OSError as error:
            raise cannot_read(self.path, error) from error


def directory_parts(directory: Path) -> dict[str, Part]:
    """List the files of an image's directory (`skopeo copy … oci:DIR`)."""
    parts: dict[str, Part] = {}
    for path in filter(Path.is_file, directory.rglob("*")):
        if len(parts) >= MOST_MEMBERS:
            raise ContentError(f"{directory} has more than {MOST_MEMBERS} files and is not a container image")
        parts[str(path.relative_to(directory))] = Part.whole(path)
    return parts


class _TarFile(ByteStream):
    """A tar on disk, whose contents are not read."""

    def __init__(self, file: FileIO) -> None:
        super().__init__(iter(()))
        self._file = file
        self._size_bytes = os.fstat(file.fileno()).st_size
        self._last = b""
        self.offset = 0

    def take(self, count: int) -> bytes:
        data = os.pread(self._file.fileno(), count, self.offset)
        if len(data) < count:
            raise ContentError("it ends in the middle of a file")
        self.offset += count
        self._last = data
        return data

    def skip(self, count: int) -> None:
        self.offset += count

    def is_at_end(self) -> bool:
        return self.offset >= self._size_bytes

    def has_end_marker(self) -> bool:
        return self._last == bytes(_BLOCK)


def tar_parts(path: Path, make: str) -> dict[str, Part]:
    """Locate the members of a tar; raise ContentError, which names the command `make`, if it is cut off or damaged."""
    try:
        with FileIO(path) as file:
            tar = _TarFile(file)
            parts, links = _located(path, tar)
    except OSError as error:
        raise cannot_read(path, error) from error
    except ContentError as error:
        raise ContentError(_cut_off(path, str(error), make)) from error
    if len(parts) + len(links) >= MOST_MEMBERS:
        raise ContentError(
            f"{path} is a tar of files, not of a container image; unpack it, and import the OSTree archive in it: "
            "netboot content import-archive DIR"
        )
    size = path.stat().st_size
    for name, part in parts.items():
        if part.offset + part.size_bytes > size:
            raise ContentError(_cut_off(path, f"{name!r} ends behind its end", make))
    if not tar.has_end_marker():
        raise ContentError(_cut_off(path, "it has no end marker", make))
    return parts | {name: parts[target] for name, target in links.items() if target in parts}


def _located(path: Path, tar: _TarFile) -> tuple[dict[str, Part], dict[str, str]]:
    """Locate the files of a tar, and what its links name, until there are more than a container image has."""
    parts: dict[str, Part] = {}
    links: dict[str, str] = {}
    for member in islice(tar_members(tar), MOST_MEMBERS):
        name = posixpath.normpath(member.name)
        if member.kind in REGULAR and not member.is_sparse:
            parts[name] = Part(path, tar.offset, member.size_bytes)
        elif member.kind in (SYMLINK, HARD_LINK):
            parent = posixpath.dirname(name) if member.kind == SYMLINK else ""
            links[name] = posixpath.normpath(posixpath.join(parent, member.link))
        tar.skip(member.size_bytes)
    return parts, links


def _cut_off(path: Path, why: str, make: str) -> str:
    return f"{path} is cut off or damaged ({why}); copy it again and compare sizes, or make it again: {make}"
