"""The version of a commit, and when it was made. Reads one small file; verifies nothing.

A commit is `(a{sv}aya(say)sstayay)`: metadata, parent, related objects, subject, body, timestamp, root (libostree's
ostree-core.h). The timestamp is seconds since 1970, big-endian, at a multiple of 8.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from netboot.content.ostree.gvariant import array_elements, tuple_ends
from netboot.errors import ContentError

_VERSION: Final = b"version\0"  # a key of the metadata
_LARGEST_COMMIT: Final = 10 << 20


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """Empty and None: it does not have it, or cannot be read."""

    version: str = ""
    dated: datetime | None = None


def commit_facts(root: Path, commit: str) -> CommitFacts:
    """Read the version and the time of a commit in the archive at `root`; none of it if it cannot be read."""
    try:
        with (root / "objects" / commit[:2] / f"{commit[2:]}.commit").open("rb") as file:
            data = file.read(_LARGEST_COMMIT)
        end_of_metadata, *_, end_of_body, _, _ = tuple_ends(data, 6)
        at = -(-end_of_body // 8) * 8
        dated = datetime.fromtimestamp(int.from_bytes(data[at : at + 8]), UTC)
        return CommitFacts(_version(data[:end_of_metadata]), dated)
    except (OSError, ContentError, ValueError, OverflowError):
        return CommitFacts()


def _version(metadata: bytes) -> str:
    for entry in array_elements(metadata, alignment=8):
        if entry.startswith(_VERSION):  # a{sv}: key, padding, the value with its type, the end of the key
            value, _, kind = entry[-(-len(_VERSION) // 8) * 8 : tuple_ends(entry, 1)[1]].rpartition(b"\0")
            if kind == b"s":
                text = value.removesuffix(b"\0").decode("utf-8", "replace")
                return text if text.isprintable() else ""
    return ""
