"""Users, API tokens and sessions are written and read, on both databases."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from netboot.model.access.access_rule import UserRole
from netboot.model.access.accounts import ApiToken, LoginSession, User
from netboot.store.access.account_store import AccountStore, StoredAccounts
from netboot.store.database import Database

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
ALICE = User("alice", UserRole.ADMIN, "$argon2id$1", AT, AT)
BOB = User("bob", UserRole.READ_ONLY, "$argon2id$2", AT, AT, AT)
CI = ApiToken("ci", UserRole.ADMIN, "c" * 64, AT, "alice", None)
OLD = ApiToken("old", UserRole.READ_ONLY, "d" * 64, AT, "uid 0", AT, AT)
OF_ALICE = LoginSession("a" * 64, "alice", UserRole.ADMIN, "192.0.2.7", AT, AT)
OF_BOB = LoginSession("b" * 64, "bob", UserRole.READ_ONLY, "2001:db8::7", AT + timedelta(minutes=1), AT)


def stored(url: str, scenario: Callable[[AccountStore], Awaitable[None]]) -> StoredAccounts:
    """Run a scenario, and return what another connection reads."""

    async def run() -> StoredAccounts:
        database = await Database.open(url)
        try:
            await scenario(AccountStore(database))
        finally:
            await database.close()
        database = await Database.open(url)
        try:
            return await AccountStore(database).all()
        finally:
            await database.close()

    return asyncio.run(run())


async def fill(store: AccountStore) -> None:
    await store.keep_user(BOB, ends_sessions=False)
    await store.begin_session(OF_ALICE, ALICE, ended=[])
    await store.begin_session(OF_BOB, BOB, ended=[])
    await store.keep_token(OLD)
    await store.keep_token(CI)


def test_what_is_written_is_read_after_a_restart(store_url: str):
    assert stored(store_url, fill) == StoredAccounts([ALICE, BOB], [CI, OLD], [OF_ALICE, OF_BOB])


def test_a_user_who_is_removed_or_changed_has_no_session(store_url: str):
    changed = replace(BOB, role=UserRole.ADMIN)

    async def scenario(store: AccountStore) -> None:
        await fill(store)
        await store.remove_user("alice")
        await store.keep_user(changed, ends_sessions=True)

    assert stored(store_url, scenario) == StoredAccounts([changed], [CI, OLD], [])


def test_a_session_and_a_token_that_ended_are_not_brought_back_by_their_use(store_url: str):
    later = AT + timedelta(minutes=5)

    async def scenario(store: AccountStore) -> None:
        await fill(store)
        await store.end_session(OF_ALICE.sha256)
        await store.remove_token("ci")
        await store.note_use_of_session(replace(OF_ALICE, used_at=later))
        await store.note_use_of_token(replace(CI, used_at=later))
        await store.note_use_of_session(replace(OF_BOB, used_at=later))
        await store.note_use_of_token(replace(OLD, used_at=later))

    used = StoredAccounts([ALICE, BOB], [replace(OLD, used_at=later)], [replace(OF_BOB, used_at=later)])
    assert stored(store_url, scenario) == used


def test_a_login_ends_the_sessions_that_it_replaces(store_url: str):
    newer = replace(OF_ALICE, sha256="e" * 64, began_at=AT + timedelta(hours=1))

    async def scenario(store: AccountStore) -> None:
        await fill(store)
        await store.begin_session(newer, ALICE, ended=[OF_ALICE.sha256])

    assert stored(store_url, scenario).sessions == [OF_BOB, newer]
