"""The progress of one machine's pull of a release."""

import os
from contextlib import suppress

from netboot.content.ostree.object_table import object_key
from netboot.content.serving.trees import ReleaseTree
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.install.event import Step


class PullProgress:
    """The progress of one pull: the share of reachable objects that the machine requested, or of a delta's bytes.

    An estimate: objects differ in size by six orders of magnitude, and a cache on the installer skips some. One bit
    per object, 6 kB for an OCK release. Never decreases, and is 100 only when all were requested.

    `object_count` is the number of objects that the ref of the release reaches. It may be set later: a release that was
    copied in by hand is walked while machines pull it. Until then the share of objects is 0, and requests are counted.
    """

    __slots__ = (
        "_before",
        "_bytes_before",
        "_delta_bytes",
        "_delta_parts",
        "_objects",
        "_requested",
        "_root",
        "_seen",
        "bytes",
        "object_count",
        "release",
    )

    def __init__(
        self, tree: ReleaseTree, object_count: int | None = None, *, percent_before: int = 0, bytes_before: int = 0
    ) -> None:
        """`percent_before` and `bytes_before` were pulled before the daemon was restarted."""
        self.release = tree.name
        self._root = tree.root
        self._objects = tree.objects
        self.object_count = object_count
        self._seen = bytearray((len(tree.objects) + 7) // 8)
        self._requested = 0
        self._delta_bytes = 0  # of the whole delta; 0 until the machine requests it
        self._delta_parts: dict[str, int] = {}
        self._before, self._bytes_before = percent_before / 100, bytes_before
        self.bytes = bytes_before  # of the requested objects, those that were requested again counted again

    @property
    def percent(self) -> int:
        return int(self.share * 100)

    @property
    def share(self) -> float:
        """The share of the pull that was requested, from 0 to 1."""
        by_objects = self._requested / self.object_count if self.object_count else 0.0
        by_delta = sum(self._delta_parts.values()) / self._delta_bytes if self._delta_bytes else 0.0
        return min(1.0, self._before + max(by_objects, by_delta))

    def progress(self, seconds: float) -> BootProgress:
        """Return how far it is, `seconds` after it began or went on."""
        return BootProgress.of(
            Step.OSTREE,
            self.release,
            self.share,
            sent=self.bytes,
            size_bytes=self._delta_bytes or None,  # not known of a pull of objects
            seconds=seconds,
            before=(self._before, self._bytes_before),
        )

    def record_request(self, member: str, size_bytes: int) -> int:
        """Record the request of one file of the repository (`objects/ab/cd….filez`) and return the percent reached."""
        self.bytes += size_bytes
        if member.startswith("deltas/"):
            if not self._delta_bytes:
                with suppress(OSError), os.scandir((self._root / member).parent) as parts:
                    self._delta_bytes = sum(part.stat().st_size for part in parts)  # some fifty, once a pull: no thread
            self._delta_parts[member] = size_bytes
            return self.percent
        _, _, rest = member.partition("/")
        directory, _, name = rest.partition("/")
        key = object_key(directory, name)
        found = self._objects.find(key) if key else None
        if found is not None:
            byte, bit = found.ordinal >> 3, 1 << (found.ordinal & 7)
            if not self._seen[byte] & bit:
                self._seen[byte] |= bit
                self._requested += 1
        return self.percent
