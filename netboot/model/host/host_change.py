"""A change of the file that declares one host."""

from dataclasses import dataclass
from pathlib import Path

from netboot.model.host.host import HostName


@dataclass(frozen=True, slots=True)
class HostFileChange:
    """The file of a host, and its new text; None: the file is deleted."""

    host: HostName
    file: Path
    text: str | None
