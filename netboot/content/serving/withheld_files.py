"""The damaged files that are not served: by their path, in memory. A request for one is answered without its bytes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netboot.content.serving.served_file import ServedFile
from netboot.model.release import EntryKind

IMAGES: Final = "images"  # the kind of a blob; that of other files is a value of EntryKind
REFS: Final = "refs/"
_DERIVED: Final = ("deltas/", "delta-indexes/", "summary")


@dataclass(frozen=True, slots=True)
class WithheldFile:
    """A damaged file of a medium or release, or a blob; `unit`, `kind` and `owner` as `ScrubUnit` has them.

    `images` are the names of the images that have this blob.
    """

    path: str
    unit: str
    kind: str
    owner: str
    member: str
    fault: str
    found_at: datetime
    images: Sequence[str] = ()

    @property
    def is_of_delta(self) -> bool:
        """It is a delta or summary of a release: removed, it is made again, and a pull goes on by single objects."""
        return self.kind == EntryKind.RELEASE and self.member.startswith(_DERIVED)

    @property
    def title(self) -> str:
        """What messages call it."""
        if self.kind != IMAGES:
            return f"{self.member} of {self.owner}"
        return f"{self.owner} of {self.images[0]}" if self.images else self.owner

    @property
    def cure(self) -> str:
        """What repairs it, if it is not repaired without an operator."""
        if self.kind == IMAGES:
            if not self.images:
                return "no image has it: netboot content gc deletes it"
            return f"netboot content verify {self.images[0]} --repair-from SOURCE"
        if self.is_of_delta:
            return "it is made again when nothing else changes the content"
        if self.kind == EntryKind.RELEASE and self.member.startswith(REFS):
            return "copy this file again from the archive that the release is from"
        return f"netboot content verify {self.owner} --repair-from SOURCE"


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
