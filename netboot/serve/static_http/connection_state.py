"""What a connection waits for, and how long."""

from enum import Enum, auto
from typing import Final

HEAD_TIMEOUT_S: Final = 20.0  # from the first byte of a head to its last
LINE_TIMEOUT_S: Final = 3.0  # from the first byte of a head to the end of its first line, which comes in one segment
IDLE_TIMEOUT_S: Final = 75.0  # between two requests
SCARCE_IDLE_TIMEOUT_S: Final = 10.0  # the same while descriptors are scarce; firmware sends its next request at once
LINGER_S: Final = 1.0  # after the last answer, for what the client still sends


class ConnectionState(Enum):
    """What a connection waits for."""

    READING = auto()  # for a head, or the rest of one
    ANSWERING = auto()  # for the task that answers, or for the next turn of the loop
    ANSWERING_LAST = auto()  # as ANSWERING; the connection is closed then
    BLOCKED = auto()  # for the client, which does not read what was written
    RESTING = auto()  # for the time at which the machine's rate allows more
    ENDED = auto()  # for nothing: it is closed, or closes when all is sent, or another protocol has it
