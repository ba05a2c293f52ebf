"""What the scrub keeps across restarts, in `.scrub.json` beside the content: its position, and what is damaged."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import structlog

from netboot.content.serving.withheld_files import WithheldFile

_NAME: Final = ".scrub.json"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScrubState:
    """The round that runs or ended last; `position` is the key of the unit that was read last, empty: none."""

    began_at: datetime | None = None
    ended_at: datetime | None = None
    position: str = ""
    size_bytes: int = 0  # read in this round
    withheld: Sequence[WithheldFile] = ()

    @property
    def is_running(self) -> bool:
        return self.began_at is not None and self.ended_at is None

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the state of the content in a directory; an empty one if there is none, or it cannot be read."""
        try:
            read = json.loads((directory / _NAME).read_text())
            withheld = tuple(
                WithheldFile(**{**each, "found_at": datetime.fromisoformat(each["found_at"])})
                for each in read["withheld"]
            )
            began, ended = (datetime.fromisoformat(read[name]) if read[name] else None for name in _TIMES)
            return cls(began, ended, str(read["position"]), int(read["size_bytes"]), withheld)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return cls()

    def write(self, directory: Path) -> None:
        """Write the state; if the directory cannot be written, a restarted daemon begins a round anew."""
        new = directory / f"{_NAME}.new"
        try:
            new.write_text(json.dumps(asdict(self), default=datetime.isoformat))
            new.chmod(0o644)
            os.replace(new, directory / _NAME)  # noqa: PTH105 - as the line reads
        except OSError as error:
            log.debug("content.scrub_not_recorded", reason=str(error))


_TIMES: Final = ("began_at", "ended_at")
