"""What the checks of the content get: settings, boot files, hosts and machines, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from netboot.boot.live_registry import Registry
from netboot.doctor.content.known_machines import KnownMachine


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """`machines` is None if neither the daemon nor the store could be read: what only they show is not judged."""

    registry: Registry
    directory: Path  # content.directory
    now: datetime
    machines: Sequence[KnownMachine] | None = ()
    machines_unknown: str = "no daemon runs, so what machines were seen is not known"  # if `machines` is None
    makes_deltas: bool = True  # content.deltas
    receives_logs: bool = False  # logs.listen

    @property
    def known_machines(self) -> Sequence[KnownMachine]:
        return self.machines or ()
