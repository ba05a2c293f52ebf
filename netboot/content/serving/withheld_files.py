"""The damaged files that are not served: by their path, in memory. A request for one is answered without its bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from netboot.content.serving.served_file import ServedFile


@dataclass(frozen=True, slots=True)
class WithheldFile:
    """A damaged file of a medium or release, or a blob; `unit`, `kind` and `owner` as `ScrubUnit` has them."""

    path: str
    unit: str
    kind: str
    owner: str
    member: str
    fault: str
    found_at: datetime


class WithheldFiles:
    """The files that are withheld now; replaced as a whole."""

    def __init__(self) -> None:
        self._files: Mapping[str, WithheldFile] = {}

    def __len__(self) -> int:
        return len(self._files)

    def all(self) -> list[WithheldFile]:
        """List the files by their path."""
        return sorted(self._files.values(), key=lambda file: file.path)

    def replace(self, files: Iterable[WithheldFile]) -> None:
        """Withhold these, and serve all others again."""
        self._files = {file.path: file for file in files}

    def of(self, file: ServedFile) -> WithheldFile | None:
        """Return why a file is not served; None if it is."""
        return self._files.get(file.path) if self._files else None
