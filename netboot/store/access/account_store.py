"""The tables of users, API tokens and sessions. The caller has them in memory; this copy survives a restart."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.model.access.access_rule import UserRole
from netboot.model.access.accounts import ApiToken, LoginSession, User
from netboot.store import tables
from netboot.store.changes.notification import Changed, notify
from netboot.store.database import Database, upsert

_USERS: Final = tables.users
_TOKENS: Final = tables.api_tokens
_SESSIONS: Final = tables.sessions


@dataclass(frozen=True, slots=True)
class StoredAccounts:
    users: Sequence[User]
    tokens: Sequence[ApiToken]
    sessions: Sequence[LoginSession]


class AccountStore:
    """The three tables. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> StoredAccounts:
        """Read the tables, each in the order of names or beginnings; a session of no user is left out."""
        async with self._database.reading() as connection:
            users = [
                self._user(row) for row in (await connection.execute(select(_USERS).order_by(_USERS.c.name))).mappings()
            ]
            found = await connection.execute(select(_TOKENS).order_by(_TOKENS.c.name))
            tokens = [_token(row) for row in found.mappings()]
            found = await connection.execute(select(_SESSIONS).order_by(_SESSIONS.c.began_at))
            roles = {user.name: user.role for user in users}
            sessions = [_session(row, roles[row["user_name"]]) for row in found.mappings() if row["user_name"] in roles]
        return StoredAccounts(users, tokens, sessions)

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction of which the other appliances are notified."""
        async with self._database.transaction() as connection:
            yield connection
            await notify(connection, Changed.ACCESS)

    async def keep_user(self, user: User, *, ends_sessions: bool) -> None:
        """Write a user, and end the user's sessions if `ends_sessions`."""
        async with self._changing() as connection:
            await upsert(connection, _USERS, [self._user_columns(user)])
            if ends_sessions:
                await connection.execute(delete(_SESSIONS).where(_SESSIONS.c.user_name == user.name))

    async def remove_user(self, name: str) -> None:
        """Delete a user and the user's sessions."""
        async with self._changing() as connection:
            await connection.execute(delete(_USERS).where(_USERS.c.name == name))
            await connection.execute(delete(_SESSIONS).where(_SESSIONS.c.user_name == name))

    async def keep_token(self, token: ApiToken) -> None:
        async with self._changing() as connection:
            await upsert(connection, _TOKENS, [_token_columns(token)])

    async def remove_token(self, name: str) -> None:
        async with self._changing() as connection:
            await connection.execute(delete(_TOKENS).where(_TOKENS.c.name == name))

    async def begin_session(self, session: LoginSession, user: User, *, ended: Sequence[str]) -> None:
        """Write a session and its user, and delete the `ended` ones."""
        async with self._changing() as connection:
            await upsert(connection, _USERS, [self._user_columns(user)])
            await upsert(connection, _SESSIONS, [_session_columns(session)])
            await connection.execute(delete(_SESSIONS).where(_SESSIONS.c.sha256.in_(ended)))

    async def note_use_of_session(self, session: LoginSession) -> None:
        """Write when a session was used, unless it has ended meanwhile."""
        used = update(_SESSIONS).where(_SESSIONS.c.sha256 == session.sha256)
        async with self._changing() as connection:
            await connection.execute(used.values(used_at=session.used_at.isoformat()))

    async def note_use_of_token(self, token: ApiToken) -> None:
        """Write when an API token was used, unless it was revoked meanwhile."""
        used = update(_TOKENS).where(_TOKENS.c.sha256 == token.sha256)
        async with self._changing() as connection:
            await connection.execute(used.values(used_at=_text(token.used_at)))

    async def end_session(self, sha256: str) -> None:
        async with self._changing() as connection:
            await connection.execute(delete(_SESSIONS).where(_SESSIONS.c.sha256 == sha256))

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` to its end, even if the caller is cancelled."""
        await self._database.finish(work)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start `work`; the end of the database waits for it."""
        return self._database.begin(work)

    def _user(self, row: RowMapping) -> User:
        """Return a user; no password is right if the hash cannot be opened."""
        logged_in_at = _time(row["logged_in_at"])
        created_at, changed_at = map(datetime.fromisoformat, (row["created_at"], row["changed_at"]))
        password_hash = self._database.sealing.open(row["password_hash"], _USERS.c.password_hash, row) or ""
        return User(row["name"], UserRole(row["role"]), password_hash, created_at, changed_at, logged_in_at)

    def _user_columns(self, user: User) -> dict[str, str | None]:
        sealed = self._database.sealing.seal(user.password_hash, _USERS.c.password_hash, {"name": user.name})
        return {
            "name": user.name,
            "role": user.role.value,
            "password_hash": sealed,
            "created_at": user.created_at.isoformat(),
            "changed_at": user.changed_at.isoformat(),
            "logged_in_at": _text(user.logged_in_at),
        }


def _token(row: RowMapping) -> ApiToken:
    return ApiToken(
        row["name"],
        UserRole(row["role"]),
        row["sha256"],
        datetime.fromisoformat(row["created_at"]),
        row["created_by"],
        _time(row["expires_at"]),
        _time(row["used_at"]),
    )


def _token_columns(token: ApiToken) -> dict[str, str | None]:
    return {
        "name": token.name,
        "role": token.role.value,
        "sha256": token.sha256,
        "created_at": token.created_at.isoformat(),
        "created_by": token.created_by,
        "expires_at": _text(token.expires_at),
        "used_at": _text(token.used_at),
    }


def _session(row: RowMapping, role: UserRole) -> LoginSession:
    began_at, used_at = map(datetime.fromisoformat, (row["began_at"], row["used_at"]))
    return LoginSession(row["sha256"], row["user_name"], role, row["address"], began_at, used_at)


def _session_columns(session: LoginSession) -> dict[str, str]:
    return {
        "sha256": session.sha256,
        "user_name": session.user,
        "address": session.address,
        "began_at": session.began_at.isoformat(),
        "used_at": session.used_at.isoformat(),
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
