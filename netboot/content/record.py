"""What is known of a medium or release since its import: `.netboot.json` beside its files, never served.

A medium or release that somebody copied in has none, and works all the same.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final, Self

NAME: Final = ".netboot.json"


@dataclass(frozen=True, slots=True)
class Record:
    """Where it came from, and what it is."""

    source: str  # the name of the file or directory
    source_digest: str  # SHA-256 of the ISO or archive file; of a directory, what `content_digest` is
    imported_at: str  # ISO 8601, UTC
    description: str = ""  # `Oracle Linux 8.10 x86_64 boot-uek`
    kernel: str = ""
    architecture: str = ""
    ref: str = ""
    commit: str = ""
    object_count: int = 0
    size_bytes: int = 0
    content_digest: str = ""  # of the image's manifest, or the commit: equal content, equal digest
    files: dict[str, str] = field(default_factory=dict)  # of a medium: each member and its SHA-256

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """Read the record of a medium or release; None where there is none that can be read."""
        try:
            read = json.loads((directory / NAME).read_text())
            return cls(**{each.name: read[each.name] for each in fields(cls) if each.name in read})
        except (OSError, ValueError, TypeError):
            return None

    def write(self, directory: Path) -> None:
        """Write it beside the files it speaks of."""
        place = directory / NAME
        place.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")
        place.chmod(0o644)  # whatever the umask
