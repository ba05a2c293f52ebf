"""Limits the connections of one address: enough for a rack behind one router, but never all descriptors."""

import asyncio
from collections import defaultdict
from typing import Final

MOST_OF_MACHINE: Final = 4096


class MachineLimit:
    """Counts the open connections of each address (`machine`), those of aiohttp too."""

    def __init__(self, most: int = MOST_OF_MACHINE) -> None:
        self._most = most
        self._open: defaultdict[str, set[asyncio.Transport]] = defaultdict(set)

    def admit(self, machine: str, transport: asyncio.Transport) -> bool:
        """Count one more connection of a machine; return False if it has too many."""
        theirs = self._open[machine]
        if len(theirs) >= self._most:
            theirs.difference_update([each for each in theirs if each.is_closing()])
        if len(theirs) >= self._most:
            return False
        theirs.add(transport)
        return True

    def forget_closed(self) -> None:
        for machine, theirs in tuple(self._open.items()):
            theirs.difference_update([each for each in theirs if each.is_closing()])
            if not theirs:
                del self._open[machine]
