"""Finds the process of the daemon of these settings."""

import re
from contextlib import suppress

from netboot.errors import NetbootError
from netboot.settings.settings import Settings
from netboot.store.locks.file_lock import held_by


def process_of_daemon(settings: Settings) -> int | None:
    """Return the process that holds the lock of the control socket; None: it cannot be read."""
    with suppress(NetbootError):
        found = re.search(r"pid (\d+)", held_by(settings.admin.socket) or "")
        return int(found[1]) if found is not None else None
    return None
