"""A connection of asyncpg that is given up in time although the server hangs. Loads asyncpg, which is optional."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import asyncpg

CLOSE_S: Final = 1.0  # a server that runs ends a session in milliseconds


class BoundedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose server may hang; `on_given_up` is called when it is left to the server.

    Waits `CLOSE_S` at most for the server to end the session if the caller sets no deadline, and then aborts.

    asyncpg waits without limit. SQLAlchemy sets a deadline for a connection that it gives up, but none for those that
    it closes with the pool; asyncpg 0.29 does not apply the deadline to a query that it cancels.
    """

    on_given_up: Callable[[], None] | None = None

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's signature
        """Close within `timeout` seconds; then abort, and raise TimeoutError. None: abort after `CLOSE_S`."""
        limit_s = CLOSE_S if timeout is None else timeout
        try:
            async with asyncio.timeout(limit_s):
                await super().close(timeout=limit_s)
        except TimeoutError:
            self._note_given_up()
            if timeout is not None:
                raise

    async def executemany(self, command: str, args: Iterable[Any], *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's signature
        """Execute a statement for each of `args`; abort the connection if the caller is cancelled.

        asyncpg then sends no more rows and waits without limit for the server, which waits for the rows.
        """
        work = asyncio.ensure_future(super().executemany(command, args, timeout=timeout))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            work.cancel()
            self._note_given_up()
            self.terminate()
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _note_given_up(self) -> None:
        if self.on_given_up is not None:
            self.on_given_up()
