"""One served file: its path, size, ETag, content type and cache rule.

Never opens a file. The cache rules are those of an OSTree archive: a file named by its checksum never changes; any
other file may change at any moment.
"""

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from netboot.model.release import ContentKind

IMMUTABLE: Final = "public, max-age=31536000, immutable"
NO_CACHE: Final = "no-cache"  # may be cached, must be revalidated (by its ETag)

OCTETS: Final = "application/octet-stream"
_CONTENT_TYPES: Final = {".efi": "application/efi", ".treeinfo": "text/plain; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file of a boot medium, a release or an image, or a boot file.

    `path` is absolute and free of links. `body` is set if the file is generated and not on disk.
    `owner` is the medium, release or repository, `member` the requested name below it.
    `etag` is quoted and strong: a checksum, or size, mtime and inode of the file at `path`.
    `fields` are further fields of an answer with this file.
    """

    path: str
    size_bytes: int
    etag: str
    content_type: str
    cache_control: str
    kind: ContentKind
    owner: str = ""
    member: str = ""
    body: bytes | None = None
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def is_immutable(self) -> bool:
        """Whether the file is named by its checksum: once read, it may be cached."""
        return self.cache_control is IMMUTABLE


def etag_of(status: os.stat_result) -> str:
    """Return the strong ETag of a file: its size, mtime and inode, of which a replacement changes one."""
    return stat_etag(status.st_size, status.st_mtime_ns, status.st_ino)


def stat_etag(size_bytes: int, mtime_ns: int, inode: int) -> str:
    return f'"{size_bytes:x}-{mtime_ns:x}-{inode:x}"'


def content_type_of(name: str) -> str:
    """Return the content type: UEFI HTTP boot refuses a loader of an unknown type."""
    last = name.rpartition("/")[2].lower()
    return _CONTENT_TYPES.get(last) or _CONTENT_TYPES.get(PurePosixPath(last).suffix, OCTETS)


def served_file(
    path: str,
    status: os.stat_result,
    *,
    kind: ContentKind = ContentKind.OTHER,
    owner: str = "",
    member: str = "",
    cache_control: str = NO_CACHE,
) -> ServedFile:
    """Describe a regular file of the disk by its `os.stat_result`."""
    return ServedFile(
        path=path,
        size_bytes=status.st_size,
        etag=etag_of(status),
        content_type=content_type_of(member or path),
        cache_control=cache_control,
        kind=kind,
        owner=owner,
        member=member,
    )
