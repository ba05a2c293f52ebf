"""How often connections to a database server may be opened: seldom while it hangs, because each one stays there.

A server that hangs does not notice that a client gave a session up: its process remains, and takes one of
`max_connections`, until the server goes on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

FIRST_PAUSE_S: Final = 0.25  # less than a read waits: a statement that waited for a lock ends here too
LONGEST_PAUSE_S: Final = 30.0
ANSWERED_S: Final = 1.0  # a server that runs opens a connection in a fraction of it
_STEP_S: Final = 0.05


class ConnectionPace:
    """The pace of one engine. Sessions that the server did not answer are noted, and those that it did."""

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._next_s = self._given_up_s = float("-inf")  # on the clock of the loop: end of the pause, the last note
        self._opening = 0

    @property
    def is_hanging(self) -> bool:
        """Return whether sessions were given up lately, and none was answered since."""
        return _now_s() < self._next_s + LONGEST_PAUSE_S

    async def wait_for_turn(self) -> None:
        """Return at once, or while the server hangs when no other connection is being opened and the pause is over."""
        while self.is_hanging and (self._opening > 0 or _now_s() < self._next_s):  # noqa: ASYNC110 - or by the clock
            await asyncio.sleep(_STEP_S)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Let a connection be opened; one that is not answered is given up.

        One that is cancelled within `ANSWERED_S` shows nothing, unless the server hangs: a client went away.
        """
        self._opening += 1
        began_s = _now_s()
        try:
            yield
        except asyncio.CancelledError:
            if self.is_hanging or _now_s() - began_s > ANSWERED_S:
                self.note_given_up()
            raise
        except Exception as error:
            cause = error.__cause__
            if isinstance(cause, TimeoutError) and cause.errno is None:  # with one, the kernel found no server
                self.note_given_up()
            raise
        finally:
            self._opening -= 1

    def note_given_up(self) -> None:
        """Note that a session was given up, which may remain on the server."""
        now_s = self._given_up_s = _now_s()
        if now_s < self._next_s:  # others of the same moment
            return
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S) if self.is_hanging else FIRST_PAUSE_S
        self._next_s = now_s + self._pause_s

    def note_answered(self, opened_s: float) -> None:
        """Note that the server answered a session of this time; one that is older than the hanging shows nothing."""
        if opened_s > self._given_up_s:
            self._next_s = float("-inf")


def _now_s() -> float:
    return asyncio.get_running_loop().time()
