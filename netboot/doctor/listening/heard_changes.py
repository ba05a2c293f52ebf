"""Which of the heard packets are shown: each machine and server once, and again when something changes; bounded.

Any machine can forge packets: the newest `KEPT` machines and servers are remembered, one of them shows `CHANGES` lines
at most, and all of them `LINES` lines in `WINDOW_S` seconds.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

KEPT: Final = 1024
CHANGES: Final = 20
LINES: Final = 60
WINDOW_S: Final = 10.0


@dataclass(slots=True)
class _Subject:
    last: dict[Hashable, object] = field(default_factory=dict)  # what was shown, by aspect
    lines: int = 0


@dataclass(slots=True)
class HeardChanges:
    """`left_out` counts the changes that are not shown."""

    left_out: int = 0
    _subjects: OrderedDict[Hashable, _Subject] = field(default_factory=OrderedDict)
    _window_began_s: float = 0.0
    _in_window: int = 0

    def is_news(self, subject: Hashable, aspect: Hashable, found: object, *, now_s: float) -> bool:
        """Record what was found of an aspect of a subject; return whether it is shown."""
        known = self._subjects.setdefault(subject, _Subject())
        self._subjects.move_to_end(subject)
        if len(self._subjects) > KEPT:
            self._subjects.popitem(last=False)
        if known.last.get(aspect) == found:
            return False
        if known.lines >= CHANGES or not self._is_within_limit(now_s):
            self.left_out += 1
            return False
        known.last[aspect] = found
        known.lines += 1
        return True

    def _is_within_limit(self, now_s: float) -> bool:
        if now_s - self._window_began_s >= WINDOW_S:
            self._window_began_s, self._in_window = now_s, 0
        if self._in_window >= LINES:
            return False
        self._in_window += 1
        return True
