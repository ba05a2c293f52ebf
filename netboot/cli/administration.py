"""Reaches the daemon where one runs, the ledger itself where none does; the commands see no difference."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from netboot.client import ControlClient, NoDaemonError, not_heard
from netboot.config.load import load_settings, read

if TYPE_CHECKING:
    from netboot.boot.administration import Administration

T = TypeVar("T")

_KNOCKS_S: Final = 5.0


@asynccontextmanager
async def administration(config: Path, *, needs_hosts: bool = True) -> AsyncIterator["Administration | ControlClient"]:
    """Open whichever of the two there is. Without `needs_hosts`, hosts files that were never accepted may be faulty.

    A daemon keeps the hosts that were right, so a fault in `hosts.yaml` must not stand between a person and `cancel`:
    the hosts are read only where no daemon knows them. Raises ConfigError.
    """
    path = load_settings(config).admin.socket
    if await asyncio.to_thread(is_answered, path):
        async with ControlClient(path) as client:
            yield client
    else:
        from netboot.app.ledger import offline_administration  # the store's libraries take half a second to load
        from netboot.servers import logs

        configuration = read(config)
        logs.configure(level="warning", form="auto")
        async with offline_administration(configuration, needs_hosts=needs_hosts) as offline:
            for fault in configuration.faults:
                print(f"{fault} (what was accepted last is used, else the hosts without a fault)", file=sys.stderr)
            yield offline


def is_answered(path: Path) -> bool:
    """Tell whether a daemon listens there; a socket file that a crash left behind does not count.

    Raises DeafDaemonError where one may: behind its back the ledger would be changed and its memory would not.
    """
    with socket.socket(socket.AF_UNIX) as knocking:  # asyncio's connect takes a full backlog for a connection
        knocking.settimeout(_KNOCKS_S)
        try:
            knocking.connect(str(path))
        except OSError as error:
            why = not_heard(path, error)
            if isinstance(why, NoDaemonError):
                return False
            raise why from error
    return True


def run_with_administration(
    config: Path, ask: Callable[["Administration | ControlClient"], Coroutine[Any, Any, T]], *, needs_hosts: bool = True
) -> T:
    """Open the administration, ask, and close it again; `needs_hosts` as `administration` has it."""

    async def run() -> T:
        async with administration(config, needs_hosts=needs_hosts) as opened:
            return await ask(opened)

    return asyncio.run(run())
