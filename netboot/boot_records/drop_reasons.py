"""Why a line of a machine's log, or a packet of its boot, is not kept."""

from enum import StrEnum


class RecordDrop(StrEnum):
    """The reason; the same word in the metric's label and in the documentation."""

    UNKNOWN_ADDRESS = "unknown-address"  # no machine that boots from us has it
    EMPTY = "empty"  # a line
    NO_BOOT = "no-boot"  # a packet of a machine that requested no boot here
    RATE = "rate"  # more than one machine, or all of them, may send
    QUEUE_FULL = "queue-full"  # the disk takes less than comes
    BOOT_FULL = "boot-full"  # this boot has the most that is kept
    BUDGET = "budget"  # `records.budget` holds no more, and every record belongs to a running boot
    WRITE_FAILED = "write-failed"
    CONNECTIONS = "too-many-connections"
    DESCRIPTORS = "no-descriptor"  # for a connection: the last ones are kept for others, or for an address without one
