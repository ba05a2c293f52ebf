"""Accounts that another appliance changes while this one reads them for the first time."""

import asyncio
from pathlib import Path

from fixtures.access import BEGIN

from netboot.model.access.access_rule import UserRole
from netboot.model.access.accounts import User
from netboot.operate.access.known_accounts import KnownAccounts
from netboot.store.access.account_store import AccountStore, StoredAccounts
from netboot.store.database import Database

ALICE = User("alice", UserRole.ADMIN, "a hash", BEGIN, BEGIN)


class LateStore(AccountStore):
    """Reads what is stored, and gives it when that is permitted."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.has_read, self.may_answer = asyncio.Event(), asyncio.Event()

    async def all(self) -> StoredAccounts:
        found = await super().all()
        self.has_read.set()
        await self.may_answer.wait()
        return found


def test_a_change_during_the_first_reading_is_read_too(tmp_path: Path):
    async def scenario() -> list[str]:
        database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/netboot.db")
        try:
            store = LateStore(database)
            accounts = KnownAccounts(store)
            loading = asyncio.ensure_future(accounts.load_once())
            await store.has_read.wait()
            await store.keep_user(ALICE, ends_sessions=False)
            noticed = asyncio.ensure_future(accounts.read_changed())
            await asyncio.sleep(0)
            store.may_answer.set()
            await asyncio.gather(loading, noticed)
            return [user.name for user in accounts.users()]
        finally:
            await database.close()

    assert asyncio.run(scenario()) == ["alice"]
