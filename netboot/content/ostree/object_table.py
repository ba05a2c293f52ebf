"""The objects of one OSTree archive: their names, and a table in memory: 56 bytes each, found in about a microsecond.

A release has some 50,000 of them. A dictionary of served files would take 40 MB for each release; this takes 3.
Each object has an ordinal, so that a set of objects is a bitmap (`serving.pull_progress`).

An import writes the table of the objects that it verified beside them, `.netboot.objects`, so that nobody has to read
50,000 names again. It has the inode and mtime of each of the 256 directories: an object that came, went or was replaced
by a rename changes the mtime, and a copied directory has another inode. Such a directory is listed again.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from netboot.errors import raise_without_descriptor

INDEX: Final = ".netboot.objects"
KINDS: Final = {"commit": 1, "dirtree": 2, "dirmeta": 3, "filez": 4}  # the kinds of objects named by their checksum
_MAGIC: Final = b"netboot objects 1\n"
DIRECTORIES: Final = tuple(f"{number:02x}" for number in range(256))
_DIRECTORY: Final = Struct(">QQQ")  # inode, mtime in ns, bytes of its records
_KEY_BYTES: Final = 32  # 31 of the digest (the first names the directory) and the kind
_STAT: Final = Struct(">QQQ")
_RECORD_BYTES: Final = _KEY_BYTES + _STAT.size


def object_key(directory: str, name: str) -> bytes | None:
    """Turn `ab` and `cdef….filez` into the 33-byte key of an object; None if it is not an object's name."""
    digest, dot, kind = name.partition(".")
    code = KINDS.get(kind)
    if code is None or not dot or len(directory) != 2 or len(digest) != 62:
        return None
    try:
        raw = bytes.fromhex(directory + digest)
    except ValueError:
        return None
    # fromhex skips blanks and accepts upper case; the name of an object has neither
    return raw + bytes((code,)) if raw.hex() == directory + digest else None


def object_member(name: str) -> str:
    """Return the file of the object `<64 hex>.<kind>` below the archive."""
    return f"objects/{name[:2]}/{name[2:]}"


class ObjectStat(NamedTuple):
    """Size, mtime and inode of one object, and its position among all of them."""

    ordinal: int
    size_bytes: int
    mtime_ns: int
    inode: int


class ObjectTable:
    """An immutable table from an object's key to its stat and its ordinal."""

    def __init__(self, buckets: Sequence[bytes] = (b"",) * len(DIRECTORIES)) -> None:
        self._buckets = buckets
        self._first_ordinals = tuple(accumulate((len(each) // _RECORD_BYTES for each in buckets), initial=0))

    @classmethod
    def read(cls, root: Path, problems: list[str]) -> "ObjectTable":
        """Read the objects of the archive at `root`; add those that are not regular files to `problems`. Blocks."""
        imported, buckets = _read_index(root), []
        for number, name in enumerate(DIRECTORIES):
            known, records = imported[number] if imported else (None, b"")
            path = root / "objects" / name
            buckets.append(records if known == _state(path) else _list(path, problems))
        return cls(buckets)

    def __len__(self) -> int:
        return self._first_ordinals[-1]

    def find(self, key: bytes) -> ObjectStat | None:
        """Find an object by its 33-byte key."""
        bucket = self._buckets[key[0]]
        tail = key[1:]
        at = bucket.find(tail)
        while at >= 0 and at % _RECORD_BYTES:  # the same bytes across two records: practically never
            at = bucket.find(tail, at + 1)
        if at < 0:
            return None
        ordinal = self._first_ordinals[key[0]] + at // _RECORD_BYTES
        return ObjectStat(ordinal, *_STAT.unpack_from(bucket, at + _KEY_BYTES))


def write_index(root: Path) -> None:
    """Write the index of a complete archive whose objects were verified."""
    states = [_state(root / "objects" / name) for name in DIRECTORIES]  # before the names are read
    buckets = [_list(root / "objects" / name, []) for name in DIRECTORIES]
    heads = (_DIRECTORY.pack(*state, len(bucket)) for state, bucket in zip(states, buckets, strict=True))
    (root / INDEX).write_bytes(b"".join((_MAGIC, *heads, *buckets)))
    (root / INDEX).chmod(0o644)  # whatever the umask


def is_as_imported(root: Path) -> bool:
    """Return whether no object came, went or was replaced since the import of the archive at `root`."""
    index = _read_index(root)
    return index is not None and all(
        known == _state(root / "objects" / name) for name, (known, _) in zip(DIRECTORIES, index, strict=True)
    )


def _read_index(root: Path) -> list[tuple[tuple[int, int], bytes]] | None:
    """Read inode, mtime and records of each directory; None if there is no index, or it is damaged."""
    try:
        data = (root / INDEX).read_bytes()
    except OSError:
        return None
    at = len(_MAGIC) + _DIRECTORY.size * len(DIRECTORIES)
    if not data.startswith(_MAGIC) or len(data) < at:
        return None
    index = []
    for inode, mtime_ns, size_bytes in _DIRECTORY.iter_unpack(data[len(_MAGIC) : at]):
        index.append(((inode, mtime_ns), data[at : at + size_bytes]))
        at += size_bytes
    return index if at == len(data) and all(len(records) % _RECORD_BYTES == 0 for _, records in index) else None


def _state(directory: Path) -> tuple[int, int]:
    """Return inode and mtime of a directory; zeros if there is none."""
    with suppress(OSError):
        status = directory.lstat()
        if stat.S_ISDIR(status.st_mode):
            return status.st_ino, status.st_mtime_ns
    return 0, 0


def pack(objects: Iterable[tuple[bytes, int, int, int]]) -> bytes:
    """Return the records of one directory from key, size, mtime and inode of each of its objects."""
    return b"".join(sorted(key[1:] + _STAT.pack(*status) for key, *status in objects))


def _list(directory: Path, problems: list[str]) -> bytes:
    """Return the records of the objects in one directory; none if it cannot be read, or is a link."""
    return b"" if directory.is_symlink() else pack(_objects_in(directory, problems))


def _objects_in(directory: Path, problems: list[str]) -> Iterator[tuple[bytes, int, int, int]]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                key = object_key(directory.name, entry.name)
                if key is None:
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield key, status.st_size, status.st_mtime_ns, status.st_ino
                else:
                    problems.append(f"{entry.path} is not served: it is not a regular file; copy the release again")
    except OSError as error:
        raise_without_descriptor(error)
