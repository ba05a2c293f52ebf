"""Reaches the daemon where one runs, the ledger itself where none does; the commands see no difference."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from netboot.client import ControlClient
from netboot.config.load import Configuration, load

if TYPE_CHECKING:
    from netboot.boot.administration import Administration

T = TypeVar("T")


@asynccontextmanager
async def administration(configuration: Configuration) -> AsyncIterator["Administration | ControlClient"]:
    """Open whichever of the two there is."""
    socket = configuration.settings.admin.socket
    if await is_answered(socket):
        async with ControlClient(socket) as client:
            yield client
    else:
        from netboot.app.ledger import offline_administration  # the store's libraries take half a second to load
        from netboot.servers import logs

        logs.configure(level="warning", form="auto")
        async with offline_administration(configuration) as offline:
            yield offline


async def is_answered(socket: Path) -> bool:
    """Tell whether a daemon listens there; a socket file that a crash left behind does not count."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_unix_connection(str(socket)), 5)
    except (OSError, TimeoutError):
        return False
    writer.close()
    await writer.wait_closed()
    return True


def run_with_administration(
    config: Path, ask: Callable[["Administration | ControlClient"], Coroutine[Any, Any, T]]
) -> T:
    """Load the configuration, open the administration, ask, and close it again."""

    async def run() -> T:
        async with administration(load(config)) as opened:
            return await ask(opened)

    return asyncio.run(run())
