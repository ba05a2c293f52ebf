"""The output of a guest's serial line: kept as text without terminal codes, searched for markers.

Firmware writes partial lines (`>>Start PXE over IPv4.`) and draws with escape sequences, so this module does not wait
for the end of a line.
"""

import asyncio
import re
from typing import Final

from netboot.errors import LabError

# CSI and OSC sequences, single-character escapes, and what remains of control characters
_ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[@-_=>c]|[\x00-\x08\x0b-\x1f\x7f]")
_UNFINISHED: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*)?$")


class Console:
    """The serial line of one power cycle."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.is_closed = False
        self._rest = ""  # an escape sequence that the next chunk ends
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        raw = self._rest + data.decode("utf-8", errors="replace")
        unfinished = _UNFINISHED.search(raw)
        self._rest = unfinished[0] if unfinished else ""
        self.text += _ESCAPES.sub("", raw[: len(raw) - len(self._rest)].replace("\r\n", "\n"))
        self._changed.set()

    def close(self) -> None:
        """Wake every waiter: no more output will come."""
        self.is_closed = True
        self._changed.set()

    async def wait_for(self, *markers: str, timeout_s: float, after: int = 0) -> str:
        """Return the first of these texts to appear since power-on; raise LabError with the console's tail.

        `after` skips so many characters of the console's text.
        """
        found = self._first_of(markers, after)
        try:
            async with asyncio.timeout(timeout_s):
                while found is None and not self.is_closed:
                    self._changed.clear()
                    await self._changed.wait()
                    found = self._first_of(markers, after)
        except TimeoutError:
            raise self._missing(markers, f"within {timeout_s:.0f} s") from None
        if found is None:
            raise self._missing(markers, "before it was switched off")
        return found

    def tail(self) -> str:
        """Return the last lines that are not empty."""
        return "\n".join([line.rstrip() for line in self.text.splitlines() if line.strip()][-15:])

    def _first_of(self, markers: tuple[str, ...], after: int) -> str | None:
        places = [(self.text.find(marker, after), marker) for marker in markers]
        return min(((place, marker) for place, marker in places if place >= 0), default=(0, None))[1]

    def _missing(self, markers: tuple[str, ...], when: str) -> LabError:
        wanted = " or ".join(f"'{marker}'" for marker in markers)
        return LabError(f"{self.name} did not print {wanted} {when}; its console ends:\n{self.tail()}")
