"""Who requests a change of netboot, and by which way."""

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """The way by which a change is requested."""

    API = "api"  # HTTP on admin.listen
    CONTROL_SOCKET = "control-socket"  # a command, or a program that uses the socket
    COMMAND = "command"  # a command that works without the daemon
    SIGNAL = "signal"  # SIGHUP


@dataclass(frozen=True, slots=True)
class Actor:
    """A user of this appliance as `uid 0`, or a process that used the API by TCP."""

    name: str
    source: Source
