"""The hosts files that were accepted last: replaced as a whole, read back in their order."""

import asyncio

from netboot.store.accepted_files import AcceptedFiles
from netboot.store.database import Database

FIRST = [("/etc/netboot/hosts.yaml", "hosts: {}\n"), ("/etc/netboot/hosts.d/a.yaml", "# é 🖧\n")]
SECOND = [("/etc/netboot/hosts.d/b.yaml", ""), ("/etc/netboot/hosts.yaml", "hosts: {}\n")]


def test_a_set_replaces_the_one_before_and_outlives_the_daemon(store_url: str):
    async def scenario() -> list[list[tuple[str, str]]]:
        found = []
        for kept in ([], FIRST, FIRST, SECOND, []):
            database = await Database.open(store_url)
            await AcceptedFiles(database).keep(kept)
            await database.close()
            database = await Database.open(store_url)
            found.append(await AcceptedFiles(database).all())
            await database.close()
        return found

    assert asyncio.run(scenario()) == [[], FIRST, FIRST, SECOND, []]
