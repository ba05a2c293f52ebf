"""Limits the connections of one address, enough for a rack behind one router, and of all: never all descriptors."""

from collections import defaultdict
from typing import Final, Protocol

from netboot.serve.net.descriptors import is_scarce, part_of_descriptors
from netboot.serve.static_http.refused import RefusalReason

MOST_OF_MACHINE: Final = 4096
MOST_OF_ALL: Final = 49_152  # of the 65,536 descriptors; then an address gets one connection, if it has none


class Closable(Protocol):
    """A connection, as asyncio's transports are."""

    def is_closing(self) -> bool: ...


class MachineLimit:
    """Counts the open connections of each address (`machine`), those of aiohttp too."""

    def __init__(self, most: int = MOST_OF_MACHINE, *, most_of_all: int = MOST_OF_ALL) -> None:
        self._most, self._most_of_all = most, part_of_descriptors(most_of_all)
        self._total = 0  # counted anew by each `forget_closed`
        self._open: defaultdict[str, set[Closable]] = defaultdict(set)

    @property
    def open_count(self) -> int:
        """How many connections are open, or were within the last second."""
        return sum(map(len, self._open.values()))

    def admit(self, machine: str, transport: Closable, *, descriptor: int | None = None) -> RefusalReason | None:
        """Count one more connection of a machine and return None, or return why it gets no more.

        It gets one if all have too many, or if the number of `descriptor` is one of the last. None: the number is not
        checked.
        """
        is_crowded = self._total >= self._most_of_all or (descriptor is not None and is_scarce(descriptor))
        theirs, most = self._open[machine], 1 if is_crowded else self._most
        if len(theirs) >= most:
            theirs.difference_update([each for each in theirs if each.is_closing()])
        if len(theirs) >= most:
            return RefusalReason.CONNECTIONS if len(theirs) >= self._most else RefusalReason.DESCRIPTORS
        theirs.add(transport)
        self._total += 1
        return None

    def forget_closed(self) -> None:
        for machine, theirs in tuple(self._open.items()):
            theirs.difference_update([each for each in theirs if each.is_closing()])
            if not theirs:
                del self._open[machine]
        self._total = sum(map(len, self._open.values()))
