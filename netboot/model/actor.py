"""Who requests a change of netboot, and by which way."""

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """The way by which a change is requested."""

    API = "api"  # HTTP on admin.listen
    PAGE = "page"  # a web page, or a request with the session of one
    CONTROL_SOCKET = "control-socket"  # a command, or a program that uses the socket
    COMMAND = "command"  # a command that works without the daemon
    SIGNAL = "signal"  # SIGHUP
    ROLLOUT = "rollout"  # a rollout that the actor began


@dataclass(frozen=True, slots=True)
class Actor:
    """`alice` who logged in, `token ci`, `uid 0` on the control socket, or `a process on 127.0.0.1`."""

    name: str
    source: Source
