"""The limits of the daemon's process: setrlimit(2)."""

import resource
from typing import Final

DESCRIPTORS: Final = 65_536  # as systemd/netboot.service has it


def disable_core_files() -> None:
    """Disable core files, which would contain cluster keys and the tokens of running installs."""
    _, hardest = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hardest))


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors, which a shell sets to 1,024: many machines that boot at once need more."""
    soft, hardest = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hardest == resource.RLIM_INFINITY else min(DESCRIPTORS, hardest)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hardest))
