"""Checks by a connection whether a daemon listens on its control socket; `client` sends requests.

Separate from `client`, whose HTTP library is slow to load and not needed if no daemon runs.
"""

import socket as sockets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from netboot.errors import NO_RIGHT, NetbootError

CONNECT_S: Final = 5.0
CONFIGURATION_HEADER: Final = "Netboot-Configuration"  # the daemon's settings file as the client has it, quoted


class NoDaemonError(NetbootError):
    """No daemon listens on the control socket."""

    code = "daemon-not-running"


class DeafDaemonError(NetbootError):
    """A daemon runs or may run but does not answer, so a command must not use the store itself."""

    code = "daemon-unreachable"


class RefusedError(NetbootError):
    """The daemon refused a request: `view` is the JSON of its error, `status` the HTTP status."""

    def __init__(self, view: Mapping[str, Any], *, status: int = 0) -> None:
        super().__init__(str(view["error"]))
        self.view = view
        self.status = status


def connection_error(socket: Path, error: Exception) -> NoDaemonError | DeafDaemonError:
    """Return why no daemon answers on the control socket, with the cure."""
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return NoDaemonError(f"no daemon listens on {socket}; systemctl start netboot, or netboot serve")
        case PermissionError():
            return DeafDaemonError(f"cannot connect to the daemon: no right to {socket}; {NO_RIGHT}")
        case TimeoutError():
            cure = "see journalctl -u netboot; if it hangs: systemctl restart netboot"
            return DeafDaemonError(f"the daemon on {socket} does not answer in time; {cure}")
        case reason:
            return DeafDaemonError(f"the daemon on {socket} does not answer: {reason}; journalctl -u netboot")


def is_answered(path: Path) -> bool:
    """Return whether a daemon listens there; a socket file that a crash left behind does not count.

    Raises DeafDaemonError if one may listen: a change of the store would not reach its memory.
    """
    with sockets.socket(sockets.AF_UNIX) as connection:  # asyncio's connect mistakes a full backlog for a connection
        connection.settimeout(CONNECT_S)
        try:
            connection.connect(str(path))
        except OSError as error:
            why = connection_error(path, error)
            if isinstance(why, NoDaemonError):
                return False
            raise why from error
    return True
