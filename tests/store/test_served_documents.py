"""What a host was served last: one row for each kind."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.served_document import ServedDocument, ServedKind
from netboot.model.install.token import Tokens
from netboot.store.database import Database
from netboot.store.served_documents import ServedDocuments

CP1 = HostName("cp1")
MAC = Mac("52:54:00:aa:bb:01")
AT = datetime(2026, 11, 21, tzinfo=UTC)
TOKENS = Tokens("1" * 32, "2" * 32, "3" * 32)


def document(kind: ServedKind, served: str, host: HostName = CP1) -> ServedDocument:
    return ServedDocument.of(
        host, kind, served.encode(), tokens=TOKENS, at=AT, mac=MAC, base_url="http://192.0.2.10:8080"
    )


def test_the_last_document_of_each_kind_outlives_the_daemon(store_url: str):
    first = document(ServedKind.KICKSTART, "first")
    last = replace(document(ServedKind.KICKSTART, "last"), at=AT.replace(hour=1))
    role, other = document(ServedKind.ROLE, "role"), document(ServedKind.ROLE, "role", HostName("w1"))

    async def scenario() -> list[ServedDocument]:
        database = await Database.open(store_url)
        served = ServedDocuments(database)
        for each in (first, role, last, other):
            served.keep(each)
        await database.close()
        database = await Database.open(store_url)
        try:
            return await ServedDocuments(database).of(CP1)
        finally:
            await database.close()

    assert asyncio.run(scenario()) == [last, role]


def test_a_store_that_fails_loses_the_record_and_takes_the_next(sqlite_url: str):
    async def scenario() -> list[ServedDocument]:
        database = await Database.open(sqlite_url)
        served = ServedDocuments(database)
        async with database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE served_documents RENAME TO gone")
        served.keep(document(ServedKind.KICKSTART, "lost"))
        await database.finished()
        async with database.transaction() as connection:
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO served_documents")
        served.keep(document(ServedKind.SCRIPT, "kept"))
        await database.finished()
        try:
            return await served.of(CP1)
        finally:
            await database.close()

    assert asyncio.run(scenario()) == [document(ServedKind.SCRIPT, "kept")]


def test_what_other_hosts_were_served_is_deleted(store_url: str):
    w1, w2 = HostName("w1"), HostName("w2")

    async def scenario() -> list[int]:
        database = await Database.open(store_url)
        served = ServedDocuments(database)
        for host in (CP1, w1, w2):
            served.keep(document(ServedKind.ROLE, "role", host))
            served.keep(document(ServedKind.SCRIPT, "script", host))
        await database.finished()
        await served.keep_only([w1])
        found = [len(await served.of(host)) for host in (CP1, w1, w2)]
        await served.keep_only([])
        found.append(len(await served.of(w1)))
        await database.close()
        return found

    assert asyncio.run(scenario()) == [0, 2, 0, 0]
