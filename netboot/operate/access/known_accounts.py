"""Users, API tokens and sessions in memory, with their copy in the store: a request waits for no database.

A change is written to the store first. What other processes change in a shared store is read again.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from netboot.errors import StoreError, UnknownAccountError
from netboot.model.access.accounts import ApiToken, LoginSession, User
from netboot.store.access.account_store import AccountStore

USE_STEP: Final = timedelta(minutes=1)  # how exactly it is known when a session or token was used

log = structlog.get_logger()


def sha256_of(secret: str) -> str:
    """Return the hash by which a session or an API token is stored: its secret has 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class KnownAccounts:
    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._is_loaded = False
        self._loading: asyncio.Task[None] | None = None
        self._changes = 0  # by this process, begun or ended
        self._ended: set[str] = set()  # sessions that this process ended, and that may still be stored
        self._users: dict[str, User] = {}
        self._tokens: dict[str, ApiToken] = {}  # by name
        self._tokens_by_hash: dict[str, ApiToken] = {}
        self._sessions: dict[str, LoginSession] = {}  # by hash, in the order of their beginnings
        self._writing: set[asyncio.Task[None]] = set()
        self._followers: list[Callable[[str], None]] = []
        self.changing = asyncio.Lock()  # held from a check to the change that depends on it

    async def load_once(self) -> None:
        """Read what is stored, the first time; raise StoreError. All who wait at one time wait for one reading."""
        if self._is_loaded:
            return
        if self._loading is None:
            self._loading = self._store.begin(self._load())
            self._loading.add_done_callback(self._end_loading)
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        async with self.changing:
            await self._read()
            self._is_loaded = True

    def _end_loading(self, loading: asyncio.Task[None]) -> None:
        """Let the next caller read again if the reading failed; its error is taken here if no caller waits any more."""
        self._loading = None
        if not loading.cancelled():
            loading.exception()

    async def read_changed(self, _subjects: object = None) -> None:
        """Read what others changed, if anything was read before; raise StoreError."""
        if self._is_loaded or self._loading is not None:  # what is being read may be older than the change
            async with self.changing:
                await self._read()

    async def _read(self) -> None:
        """Read what is stored into memory, and end what is not stored any longer."""
        while True:
            changes = self._changes
            stored = await self._store.all()
            if self._changes == changes:  # otherwise what was read lacks one's own change
                break
        before, revoked = self._sessions, self._tokens_by_hash.keys() - {token.sha256 for token in stored.tokens}
        self._users = {user.name: user for user in stored.users}
        self._ended &= {session.sha256 for session in stored.sessions}
        sessions = [session for session in stored.sessions if session.sha256 not in self._ended]
        self._sessions = {each.sha256: _as_used(each, before.get(each.sha256)) for each in sessions}
        self._tokens, self._tokens_by_hash = {}, {}
        for token in stored.tokens:
            self._take_token(token)
        for sha256 in [*(before.keys() - self._sessions.keys()), *revoked]:
            self._follow(sha256)

    def on_ended(self, follower: Callable[[str], None]) -> None:
        """Call `follower` with the hash of each session that ends and of each token that is revoked."""
        self._followers.append(follower)

    # Reading, from memory

    def users(self) -> list[User]:
        return [self._users[name] for name in sorted(self._users)]

    def user(self, name: str) -> User | None:
        return self._users.get(name)

    def named(self, name: str) -> User:
        """Return a user; raise UnknownAccountError."""
        if (user := self._users.get(name)) is None:
            raise UnknownAccountError(f"no user is called {name}; netboot user list shows them")
        return user

    def tokens(self) -> list[ApiToken]:
        return [self._tokens[name] for name in sorted(self._tokens)]

    def token(self, name: str) -> ApiToken | None:
        return self._tokens.get(name)

    def token_by_hash(self, sha256: str) -> ApiToken | None:
        return self._tokens_by_hash.get(sha256)

    def session_by_hash(self, sha256: str) -> LoginSession | None:
        return self._sessions.get(sha256)

    def sessions_of(self, user: str) -> list[LoginSession]:
        return [session for session in self._sessions.values() if session.user == user]

    def sessions(self) -> list[LoginSession]:
        return list(self._sessions.values())

    # Changes; each raises StoreError, and is then not made

    async def keep_user(self, user: User, *, ends_sessions: bool = False) -> None:
        """Add or replace a user."""

        async def change() -> None:
            await self._store.keep_user(user, ends_sessions=ends_sessions)
            self._users[user.name] = user
            if ends_sessions:
                self._forget(self.sessions_of(user.name))

        await self._finish(change())

    async def remove_user(self, name: str) -> None:
        """Remove a user and end the user's sessions."""

        async def change() -> None:
            await self._store.remove_user(name)
            del self._users[name]
            self._forget(self.sessions_of(name))

        await self._finish(change())

    async def keep_token(self, token: ApiToken) -> None:
        """Add an API token."""

        async def change() -> None:
            await self._store.keep_token(token)
            self._take_token(token)

        await self._finish(change())

    async def remove_token(self, token: ApiToken) -> None:
        """Revoke an API token."""

        async def change() -> None:
            await self._store.remove_token(token.name)
            del self._tokens[token.name], self._tokens_by_hash[token.sha256]
            self._follow(token.sha256)

        await self._finish(change())

    async def begin_session(self, session: LoginSession, user: User, *, ended: Iterable[LoginSession]) -> None:
        """Begin a session of a user that has just logged in, and end others."""
        others = list(ended)

        async def change() -> None:
            await self._store.begin_session(session, user, ended=[other.sha256 for other in others])
            self._users[user.name] = user
            self._sessions[session.sha256] = session
            self._forget(others)

        await self._finish(change())

    async def end_session(self, session: LoginSession) -> None:
        """End a session; it is ended in memory also if the store fails."""
        self._forget([session])
        await self._finish(self._store.end_session(session.sha256))

    # What is written later, if the store can

    def end_session_later(self, session: LoginSession) -> None:
        self._forget([session])
        self._write_later(self._store.end_session(session.sha256))

    def note_use_of_session(self, session: LoginSession, now: datetime) -> LoginSession:
        """Note that a session is used now."""
        if now - session.used_at < USE_STEP:
            return session
        used = self._sessions[session.sha256] = replace(session, used_at=now)
        self._write_later(self._store.note_use_of_session(used))
        return used

    def note_use_of_token(self, token: ApiToken, now: datetime) -> ApiToken:
        """Note that an API token is used now."""
        if token.used_at is not None and now - token.used_at < USE_STEP:
            return token
        used = replace(token, used_at=now)
        self._take_token(used)
        self._write_later(self._store.note_use_of_token(used))
        return used

    def _write_later(self, writing: Coroutine[Any, Any, None]) -> None:
        """Write what is no loss if the store fails."""

        async def write() -> None:
            try:
                await writing
            except StoreError as error:
                log.warning("access.write_failed", reason=str(error))

        task = self._store.begin(write())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _take_token(self, token: ApiToken) -> None:
        self._tokens[token.name] = self._tokens_by_hash[token.sha256] = token

    async def _finish(self, change: Coroutine[Any, Any, None]) -> None:
        """Make a change of store and memory to its end, even if the caller is cancelled."""
        self._changes += 1
        try:
            await self._store.finish(change)
        finally:
            self._changes += 1

    def _forget(self, sessions: Iterable[LoginSession]) -> None:
        for session in sessions:
            self._ended.add(session.sha256)
            if self._sessions.pop(session.sha256, None) is not None:
                self._follow(session.sha256)

    def _follow(self, sha256: str) -> None:
        for follower in self._followers:
            follower(sha256)


def _as_used(stored: LoginSession, known: LoginSession | None) -> LoginSession:
    """Return a stored session with the time of its last use, which may not be stored yet."""
    return stored if known is None else replace(stored, used_at=max(stored.used_at, known.used_at))
