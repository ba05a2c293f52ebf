"""The objects of one OSTree archive in memory: 57 bytes each, found in about a microsecond.

A release has some 50,000 of them. A dictionary of served files would take 40 MB for each release; this takes 3.
Each object has an ordinal, so that a set of objects is a bitmap (`serving.pull_progress`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from struct import Struct
from typing import Final

_KEY_BYTES: Final = 32  # 31 of the digest (the first names the bucket) and the kind
_STAT: Final = Struct(">QQQ")
_RECORD_BYTES: Final = _KEY_BYTES + _STAT.size


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """Size, mtime and inode of one object, and its position among all of them."""

    ordinal: int
    size_bytes: int
    mtime_ns: int
    inode: int


class ObjectTable:
    """An immutable table from an object's key to its stat and its ordinal."""

    def __init__(self, entries: Iterable[tuple[bytes, int, int, int]] = ()) -> None:
        """Build it from (key, size_bytes, mtime_ns, inode) of each object, in any order."""
        buckets: list[list[bytes]] = [[] for _ in range(256)]
        for key, size_bytes, mtime_ns, inode in entries:
            buckets[key[0]].append(key[1:] + _STAT.pack(size_bytes, mtime_ns, inode))
        self._buckets = tuple(b"".join(sorted(bucket)) for bucket in buckets)
        self._first_ordinals = tuple(accumulate((len(bucket) for bucket in buckets), initial=0))

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
