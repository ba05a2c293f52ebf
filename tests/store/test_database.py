"""A store that cannot be reached is one error message, which never shows its password."""

import asyncio

import pytest

from netboot.errors import StoreError
from netboot.store.database import Database

REFUSED = b'SFATAL\0C28P01\0Mpassword authentication failed for user "netboot"\0\0'


async def refuse_the_password(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as PostgreSQL does (protocol 3.0): no TLS, then an ErrorResponse to the StartupMessage."""
    await reader.readexactly(8)
    writer.write(b"N")
    length = int.from_bytes(await reader.readexactly(4), "big")
    await reader.readexactly(length - 4)
    writer.write(b"E" + (len(REFUSED) + 4).to_bytes(4, "big") + REFUSED)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("url", ["postgresql+asyncpg://netboot:s3cret@db:port/netboot", "s3cret"])
def test_a_url_that_cannot_be_read_is_not_shown(url: str):
    with pytest.raises(StoreError) as caught:
        asyncio.run(Database.open(url))

    assert "store.url is not a URL of a database" in str(caught.value)
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.integration
def test_a_connection_that_postgresql_refuses_is_an_error_of_the_store():
    async def scenario() -> str:
        async with await asyncio.start_server(refuse_the_password, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(StoreError) as caught:
                await Database.open(f"postgresql+asyncpg://netboot:s3cret@127.0.0.1:{port}/netboot")
        return str(caught.value)

    assert asyncio.run(scenario()) == (
        'the store failed: password authentication failed for user "netboot"; '
        "correct user and password in store.url and store.password_file, or pg_hba.conf of the server"
    )


def test_the_size_of_the_store_is_measured(store_url: str):
    async def scenario() -> int:
        database = await Database.open(store_url)
        try:
            return await database.size_bytes()
        finally:
            await database.close()

    assert 4096 < asyncio.run(scenario()) < 100 << 20
