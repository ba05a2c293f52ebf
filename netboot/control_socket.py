"""Where a daemon's API is: on its control socket, or over the network; whether a daemon listens on that socket.

Separate from `client`, which sends requests and whose HTTP library is slow to load and not needed if no daemon runs.
"""

import socket as sockets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

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


def no_daemon(socket: Path) -> NoDaemonError:
    """Return the error of a command that needs a daemon."""
    return NoDaemonError(f"no daemon listens on {socket}; systemctl start netboot, or netboot serve")


def connection_error(socket: Path, error: Exception) -> NoDaemonError | DeafDaemonError:
    """Return why no daemon answers on the control socket, with the cure."""
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return no_daemon(socket)
        case PermissionError():
            return DeafDaemonError(f"cannot connect to the daemon: no right to {socket}; {NO_RIGHT}")
        case TimeoutError():
            cure = "see journalctl -u netboot; if it hangs: systemctl restart netboot"
            return DeafDaemonError(f"the daemon on {socket} does not answer in time; {cure}")
        case reason:
            return DeafDaemonError(f"the daemon on {socket} does not answer: {reason}; journalctl -u netboot")


_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A daemon's administration by HTTPS, or by HTTP on loopback; `token` is an API token, which is sent to it."""

    url: str
    token: str | None = field(default=None, repr=False)
    authority: Path | None = None  # the certificates that are trusted; None: those of this computer

    @classmethod
    def parse(cls, url: str, *, token: str | None = None, authority: Path | None = None) -> "ApiServer":
        """Read the URL of an administration; raise ValueError with a sentence if it cannot be one."""
        parts = urlsplit(url if "//" in url else f"https://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not a URL such as https://appliance.example.org:8470")
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
            raise ValueError(f"{url!r} has more than a host and a port; write https://HOST:PORT")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"{url!r} would send the token in clear text; write https://{parts.netloc}")
        return cls(f"{parts.scheme}://{parts.netloc}", token, authority)

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what a request to it has beside its own headers."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def tls(self) -> ssl.SSLContext:
        """Return what is verified of its certificate: chain, names and time. Raises OSError."""
        return ssl.create_default_context(cafile=self.authority)

    def __str__(self) -> str:
        return self.url


def server_error(server: ApiServer, error: Exception) -> NoDaemonError | DeafDaemonError:
    """Return why no daemon answers over the network, with the cure."""
    match error:
        case ssl.SSLCertVerificationError():
            cure = "give the certificate of its authority with --ca, and a name or address that the certificate has"
            return DeafDaemonError(f"the certificate of {server} is not trusted: {error.verify_message}; {cure}")
        case ConnectionRefusedError():
            cure = "see admin.listen in its netboot.yaml, and whether the daemon runs"
            return NoDaemonError(f"no daemon listens on {server}; {cure}")
        case TimeoutError():
            return DeafDaemonError(f"{server} does not answer in time; see its firewall and admin.listen")
        case reason:
            return DeafDaemonError(f"{server} does not answer: {reason}; see the URL, and admin.listen and admin.tls")


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
