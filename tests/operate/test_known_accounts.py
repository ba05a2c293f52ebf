"""What another process changes of users, tokens and sessions is read again; what is no loss may fail to be written."""

import asyncio
from datetime import timedelta
from typing import Any

from fixtures.access import BEGIN, ROOT, OpenAccess, with_access
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.events.event_bus import EventBus
from netboot.events.event_log import EventLog
from netboot.model.access.access_rule import RefusedCredential, UserRole
from netboot.model.access.accounts import User
from netboot.operate.access.access_uses import AccessUses
from netboot.operate.access.api_tokens import NewToken
from netboot.operate.access.known_accounts import KnownAccounts
from netboot.store.access.account_store import AccountStore, StoredAccounts
from netboot.store.database import Database
from netboot.telemetry.metrics import Metrics

HERE = "192.0.2.7"
NEW = NewToken("ci", UserRole.READ_ONLY, timedelta(days=1))
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


def another_process(access: OpenAccess) -> AccessUses:
    events = EventBus(EventLog(access.database), now=access.clock.now)
    clock = access.clock.clock()
    return AccessUses.of(AccountStore(access.database), events, user=ROOT, clock=clock, metrics=Metrics())


def test_a_token_that_another_process_revokes_ends_here_and_its_followers_learn_of_it(sqlite_url: str):
    async def scenario(access: OpenAccess) -> None:
        other, ended = another_process(access), list[str]()
        created = await access.uses.tokens.create(NEW)
        access.uses.on_ended(ended.append)
        token = access.uses.tokens.token_of(created.token, HERE)
        assert not isinstance(token, RefusedCredential)
        await other.accounts.read_changed()
        before_it_was_loaded = other.accounts.tokens()
        await other.load()
        await other.tokens.revoke("ci")
        await access.uses.accounts.read_changed()

        assert (before_it_was_loaded, ended, access.uses.accounts.tokens()) == ([], [token.sha256], [])
        assert isinstance(access.uses.tokens.token_of(created.token, HERE), RefusedCredential)

    with_access(sqlite_url, scenario)


def test_a_change_during_the_first_reading_is_read_too(sqlite_url: str):
    async def scenario(access: OpenAccess) -> list[str]:
        store = LateStore(access.database)
        accounts = KnownAccounts(store)
        loading = asyncio.ensure_future(accounts.load_once())
        await store.has_read.wait()
        await store.keep_user(ALICE, ends_sessions=False)
        noticed = asyncio.ensure_future(accounts.read_changed())
        await asyncio.sleep(0)
        store.may_answer.set()
        await asyncio.gather(loading, noticed)
        return [user.name for user in accounts.users()]

    assert with_access(sqlite_url, scenario) == ["alice"]


def test_all_who_wait_for_the_accounts_wait_for_one_reading(sqlite_url: str):
    readings = list[int]()

    class Counted(AccountStore):
        async def all(self) -> Any:
            readings.append(1)
            await asyncio.sleep(0)
            return await super().all()

    async def scenario(access: OpenAccess) -> None:
        await asyncio.gather(*(access.uses.load() for _ in range(3)))
        await access.uses.load()

    with_access(sqlite_url, scenario, store_of=Counted)

    assert len(readings) == 1


def test_the_use_of_a_token_that_cannot_be_written_is_a_warning_and_the_token_is_valid(sqlite_url: str):
    class Failing(AccountStore):
        async def note_use_of_token(self, _token: Any) -> None:
            raise StoreError("the store failed")

    async def scenario(access: OpenAccess) -> object:
        created = await access.uses.tokens.create(NEW)
        found = access.uses.tokens.token_of(created.token, HERE)
        async with asyncio.timeout(30):
            while not logs:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return found

    with capture_logs() as logs:
        found = with_access(sqlite_url, scenario, store_of=Failing)

    assert not isinstance(found, RefusedCredential)
    assert [each for each in logs if each["event"] == "access.write_failed"] == [
        {"event": "access.write_failed", "log_level": "warning", "reason": "the store failed"}
    ]
