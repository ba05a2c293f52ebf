"""Why a line of a machine's log is not kept."""

from enum import StrEnum


class LineDrop(StrEnum):
    """The reason; the same word in the metric's label and in the documentation."""

    UNKNOWN_ADDRESS = "unknown-address"  # no machine that boots from us has it
    EMPTY = "empty"
    RATE = "rate"  # more lines than one machine, or all of them, may send
    QUEUE_FULL = "queue-full"  # the disk takes fewer lines than come
    BOOT_FULL = "boot-full"  # this boot has the most that is kept
    BUDGET = "budget"  # `records.budget` holds no more, and every log belongs to a running boot
    WRITE_FAILED = "write-failed"
    CONNECTIONS = "too-many-connections"
