"""Handles signals from the start of the process to its end: no signal is lost, and none kills the process.

`netboot.__main__` blocks them before the daemon's modules are loaded, which takes a second; `Signals` handles those
that were received during this time.
"""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

STOP: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """SIGTERM and SIGINT end the daemon, or its start; SIGHUP reloads it, once it is ready."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._starting: asyncio.Task[object] | None = None
        self._reload: Callable[[], object] | None = None
        self._is_reload_wanted = False

    def listen(self) -> None:
        """Handle signals from now on, also blocked ones; the calling task is the start, which a stop cancels."""
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in STOP:
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP, signal.SIGHUP})

    def finish_start(self, reload: Callable[[], object]) -> None:
        """Let SIGHUP call `reload` from now on, at once if one is pending; a stop no longer cancels the start."""
        self._starting, self._reload = None, reload
        if self._is_reload_wanted:
            reload()

    def _stop(self) -> None:
        self.stopping.set()
        if self._starting is not None:
            self._starting.cancel()
            self._starting = None  # a second signal must not cancel the cleanup

    def _hang_up(self) -> None:
        self._is_reload_wanted = True
        if self._reload is not None:
            self._reload()
