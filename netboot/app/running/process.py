"""The daemon as a process: its signals, its limits (setrlimit(2)), its state for systemd (sd_notify(3)).

No signal is lost, and none kills the process: `netboot.__main__` blocks them before the daemon's modules are loaded,
which takes a second; `Signals` handles those that were received during this time.
"""

import asyncio
import faulthandler
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from netboot.serve.net.descriptors import DESCRIPTORS

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


def disable_core_files() -> None:
    """Disable core files, which would contain cluster keys and the tokens of running installs."""
    _, hardest = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hardest))


def dump_stack_at_abort() -> None:
    """Let SIGABRT, as systemd's watchdog sends it, write the stack of each thread to the log and end the process."""
    with suppress(OSError, ValueError):  # standard error is closed
        faulthandler.enable()


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors, which a shell sets to 1,024: many machines that boot at once need more."""
    soft, hardest = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hardest == resource.RLIM_INFINITY else min(DESCRIPTORS, hardest)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hardest))


def notify_systemd(*assignments: str) -> None:
    """Send lines such as `READY=1` to the service manager, if there is one.

    Never raises, because a failed notification must not stop the daemon.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.connect(address)
        manager.sendall("\n".join(assignments).encode(errors="replace"))  # a file's name may not be UTF-8
