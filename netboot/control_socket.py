"""Tells whether a daemon answers on its control socket, with nothing but a connection; `client` speaks to it.

Apart from `client`, whose HTTP library takes its time to load and is not needed where no daemon runs.
"""

import socket as sockets
from pathlib import Path
from typing import Final

from netboot.errors import NO_RIGHT, NetbootError

CONNECT_S: Final = 5.0


class NoDaemonError(NetbootError):
    """Nobody listens on the control socket."""


class DeafDaemonError(NetbootError):
    """A daemon is there, or may be, and does not hear us: nobody may act as if none ran."""


def not_heard(socket: Path, error: Exception) -> NoDaemonError | DeafDaemonError:
    """Say why nobody answers on the control socket, and what to do."""
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return NoDaemonError(f"no daemon listens on {socket}; systemctl start netboot, or netboot serve")
        case PermissionError():
            return DeafDaemonError(f"cannot speak to the daemon: no right to {socket}; {NO_RIGHT}")
        case TimeoutError():
            return DeafDaemonError(f"the daemon on {socket} does not answer in time; journalctl -u netboot")
        case reason:
            return DeafDaemonError(f"the daemon on {socket} does not answer: {reason}; journalctl -u netboot")


def is_answered(path: Path) -> bool:
    """Tell whether a daemon listens there; a socket file that a crash left behind does not count.

    Raises DeafDaemonError where one may: behind its back the ledger would be changed and its memory would not.
    """
    with sockets.socket(sockets.AF_UNIX) as connection:  # asyncio's connect takes a full backlog for a connection
        connection.settimeout(CONNECT_S)
        try:
            connection.connect(str(path))
        except OSError as error:
            why = not_heard(path, error)
            if isinstance(why, NoDaemonError):
                return False
            raise why from error
    return True
