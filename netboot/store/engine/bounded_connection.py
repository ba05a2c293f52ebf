"""A connection of asyncpg that ends in time although the server hangs. Loads asyncpg, which is optional."""

import asyncio

import asyncpg


class BoundedConnection(asyncpg.Connection):  # type: ignore[misc]
    """asyncpg 0.32 waits without limit for a server's answer to a cancelled query before it closes (protocol.pyx)."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's signature
        """Close within `timeout` seconds; then abort, and raise TimeoutError."""
        async with asyncio.timeout(timeout):
            await super().close(timeout=timeout)
