"""A connection of asyncpg that ends in time although the server hangs. Loads asyncpg, which is optional."""

import asyncio

import asyncpg


class BoundedConnection(asyncpg.Connection):  # type: ignore[misc]
    """Ends `close` at its deadline, which asyncpg 0.32 did not in a daemon whose server was stopped (SIGSTOP)."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's signature
        """Close within `timeout` seconds; then abort, and raise TimeoutError."""
        async with asyncio.timeout(timeout):
            await super().close(timeout=timeout)
