"""The daemon's state for systemd: when it is ready, reloads and stops, and one line that `systemctl status` shows."""

import time
from collections.abc import Awaitable, Callable

import structlog

from netboot.app.running.process import notify_systemd
from netboot.errors import NetbootError

log = structlog.get_logger()


class SystemdStatus:
    """Sends the state to the service manager. `hosts` counts the hosts served, `problems` lists what prevents it."""

    def __init__(self, *, hosts: Callable[[], int], problems: Callable[[], list[str]]) -> None:
        self._hosts, self._problems = hosts, problems
        self._shown_problems: list[str] = []

    def send_ready(self) -> None:
        notify_systemd("READY=1", self._line())

    def send_stopping(self) -> None:
        notify_systemd("STOPPING=1")

    def send_status(self) -> None:
        notify_systemd(self._line())

    def send_refusal(self, reason: object) -> None:
        """Show that a reload was refused, and why."""
        notify_systemd(_kept(reason))

    def note_problems(self) -> None:
        """Send the state if the problems have changed."""
        if self._problems() != self._shown_problems:
            self.send_status()

    async def reload(self, reload: Callable[[], Awaitable[object]]) -> None:
        """Run a reload that systemd or SIGHUP requested. Never raises: a fault must not end the daemon."""
        notify_systemd("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            await reload()
            status = self._line()
        except NetbootError as error:
            status = _kept(str(error).splitlines()[0])
        except Exception:
            log.exception("config.reload_failed")
            status = _kept("a fault of netboot's own, see the log")
        notify_systemd("READY=1", status)

    def _line(self) -> str:
        hosts, problems = self._hosts(), self._problems()
        self._shown_problems = problems
        served = f"STATUS=serving {hosts} host{'s' if hosts != 1 else ''}"
        match problems:
            case []:
                return served
            case [problem]:
                return f"{served}; 1 problem: {problem}"
            case _:
                return f"{served}; {len(problems)} problems, first: {problems[0]}"


def _kept(reason: object) -> str:
    return f"STATUS=kept the old configuration: {reason}"
