"""The record of the import of a medium or release: `.netboot.json` beside its files, never served.

A medium or release that was copied in by hand has none; it is served too.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

NAME: Final = ".netboot.json"


@dataclass(frozen=True, slots=True)
class Record:
    source: str  # the name of the file or directory
    source_digest: str  # SHA-256 of the ISO or archive file; for a directory, equal to `content_digest`
    imported_at: str  # ISO 8601, UTC
    description: str = ""  # `Oracle Linux 8.10 x86_64 boot-uek`
    kernel: str = ""
    architecture: str = ""
    ref: str = ""
    commit: str = ""
    object_count: int = 0
    pull_count: int = 0  # objects that `commit` reaches; 0: imported by an earlier version
    size_bytes: int = 0
    image: str = ""  # of a release that was an image: `olcne/ock-ostree@sha256:…`
    content_digest: str = ""  # of the image's manifest, or the commit: equal content, equal digest
    files: dict[str, str] = field(default_factory=dict)  # of a medium: each member and its SHA-256

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read the record of a medium or release; None if it is missing or invalid."""
        try:
            read = json.loads((directory / NAME).read_text())
            record = cls(**{each.name: read[each.name] for each in fields(cls) if each.name in read})
            datetime.fromisoformat(record.imported_at)
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return record if record._is_valid() else None

    def _is_valid(self) -> bool:
        """Return whether each field has the type that an import writes: a record may be copied in by hand."""
        read: Any = self  # JSON: any field may be anything
        return (
            all(type(getattr(read, each.name)) is each.type for each in fields(self) if each.name != "files")
            and isinstance(read.files, dict)
            and all(isinstance(checksum, str) for checksum in self.files.values())
            and not any(".." in member.split("/") or member.startswith("/") for member in self.files)
        )

    def write(self, directory: Path) -> None:
        place = directory / NAME
        place.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")
        place.chmod(0o644)  # whatever the umask
