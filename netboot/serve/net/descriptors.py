"""How many descriptors the daemon has, and how many of them each listener may use."""

import resource
from typing import Final

DESCRIPTORS: Final = 65_536  # as systemd/netboot.service has it
_LEAST: Final = 64


def part_of_descriptors(most: int) -> int:
    """Return how many connections a listener may have that has `most` with all descriptors: fewer with a low limit.

    Otherwise a flood of connections would take every descriptor, and no file, datagram port or database could be
    opened.
    """
    permitted, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if permitted == resource.RLIM_INFINITY or permitted >= DESCRIPTORS:
        return most
    return min(most, max(_LEAST, most * permitted // DESCRIPTORS))
