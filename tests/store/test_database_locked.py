"""A write of many rows that waits for another program's transaction is given up in time."""

import asyncio
import time

import asyncpg
import pytest
from sqlalchemy import insert, make_url

from netboot.errors import StoreError
from netboot.store import tables
from netboot.store.database import Database

ROWS = 20_000  # more than the buffers of a connection hold
MOVE = {"host": "cp1", "at": "", "what": "armed", "from_state": "", "to_state": "", "note": "x" * 100}


@pytest.mark.integration
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_many_rows_that_the_server_does_not_take_are_given_up_in_time(store_url: str):
    async def scenario() -> tuple[str, float, str | None]:
        database = await Database.open(store_url)
        url = make_url(store_url)
        other = await asyncpg.connect(host=url.query["host"], user=url.username, database=url.database)
        try:
            await other.execute("BEGIN; INSERT INTO moves VALUES (1, 'cp1', '', 'armed', '', '', '')")
            began_s = time.monotonic()
            async with asyncio.timeout(20):
                with pytest.raises(StoreError) as caught:
                    async with database.transaction(limit_s=0.5) as connection:
                        await connection.execute(insert(tables.moves), [{**MOVE, "id": id_} for id_ in range(1, ROWS)])
            took_s = time.monotonic() - began_s
            await other.execute("ROLLBACK")
            await database.ping()
            return str(caught.value), took_s, database.write_fault
        finally:
            await other.close()
            await database.close()

    error, took_s, fault = asyncio.run(scenario())

    assert error == "the store did not answer within 0.5 s; check the load of its disk, or of its database server"
    assert fault == error
    assert took_s < 10
