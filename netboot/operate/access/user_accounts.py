"""What an operator requests of users: to list, add, change and remove them. Each change is in the audit trail."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from netboot.errors import AccountRefusedError, UnknownAccountError
from netboot.events.event_bus import EventBus
from netboot.model.access.access_rule import UserRole
from netboot.model.access.accounts import LoginSession, User
from netboot.model.actor import Actor
from netboot.model.hidden import HIDDEN
from netboot.operate.access.known_accounts import KnownAccounts
from netboot.operate.access.passwords import Passwords
from netboot.operate.audit import audited

MOST_USERS: Final = 500
NAME_FORM: Final = "use at most 32 letters, digits, dots, dashes and underscores, a letter first"

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,31}")


@dataclass(frozen=True, slots=True)
class NewUser:
    name: str
    role: UserRole
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UserEdit:
    """What to change of a user; None: keep it."""

    name: str
    role: UserRole | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class UserStatus:
    """A user, with the logins that are valid now."""

    name: str
    role: UserRole
    created_at: datetime
    changed_at: datetime
    logged_in_at: datetime | None
    sessions: Sequence[LoginSession]


@dataclass(frozen=True, slots=True)
class UserChange:
    """A user as it is now, or was before it was removed, and what follows from the change."""

    user: UserStatus
    notes: Sequence[str]


class UserAccounts:
    def __init__(
        self,
        accounts: KnownAccounts,
        passwords: Passwords,
        events: EventBus,
        *,
        user: Actor,
        now: Callable[[], datetime],
    ) -> None:
        """`user` is the actor of a change that names none: the user of this process."""
        self._accounts, self._passwords, self._events = accounts, passwords, events
        self._user, self._now = user, now

    async def all(self) -> list[UserStatus]:
        """List the users by name; raise StoreError."""
        await self._accounts.load_once()
        return [self._status(user) for user in self._accounts.users()]

    async def add(self, new: NewUser, *, actor: Actor | None = None) -> UserChange:
        """Add a user; raise AccountRefusedError if the name is used or a value is not accepted."""
        await self._accounts.load_once()
        name = HIDDEN if _is_password(new.name, new.password) else new.name[:32]
        with audited(self._events, "add user", actor or self._user, subject=f"{name}: role {new.role}"):
            if not _NAME.fullmatch(new.name):
                raise AccountRefusedError(f"cannot add this user: {NAME_FORM}")
            _check_password(new.name, new.password)
            password_hash = await self._passwords.hashed(new.password)
            async with self._accounts.changing:
                known = self._accounts.users()
                if self._accounts.user(new.name) is not None:
                    raise AccountRefusedError(f"cannot add {new.name}: the user exists; netboot user set {new.name}")
                if len(known) >= MOST_USERS:
                    raise AccountRefusedError(f"cannot add {new.name}: {MOST_USERS} users exist; remove one first")
                now = self._now()
                user = User(new.name, new.role, password_hash, now, now)
                await self._accounts.keep_user(user)
        notes = ["from now on, a change over loopback needs a login or an API token"] if not known else []
        return UserChange(self._status(user), [*notes, *self._notes()])

    async def change(self, edit: UserEdit, *, actor: Actor | None = None) -> UserChange:
        """Change role or password, and end the user's sessions; raise UnknownAccountError, AccountRefusedError."""
        await self._accounts.load_once()
        changed = [*([f"role {edit.role}"] if edit.role else []), *(["password"] if edit.password is not None else [])]
        subject = f"{edit.name[:32]}: {' and '.join(changed)}"
        with audited(self._events, "set user", actor or self._user, subject=subject):
            self._accounts.named(edit.name)
            if not changed:
                raise AccountRefusedError("nothing to change; give a role or a password")
            password_hash = None
            if edit.password is not None:
                _check_password(edit.name, edit.password)
                password_hash = await self._passwords.hashed(edit.password)
            async with self._accounts.changing:
                before = self._accounts.named(edit.name)
                user = replace(
                    before,
                    role=edit.role or before.role,
                    password_hash=password_hash or before.password_hash,
                    changed_at=self._now(),
                )
                ended = len(self._accounts.sessions_of(user.name))
                await self._accounts.keep_user(user, ends_sessions=True)
        return UserChange(self._status(user), [*_ended(user.name, ended), *self._notes()])

    async def remove(self, name: str, *, actor: Actor | None = None) -> UserChange:
        """Remove a user and end the user's sessions; raise UnknownAccountError."""
        await self._accounts.load_once()
        with audited(self._events, "remove user", actor or self._user, subject=name[:32]):
            async with self._accounts.changing:
                before = self._status(self._accounts.named(name))
                await self._accounts.remove_user(name)
        return UserChange(before, [*_ended(name, len(before.sessions)), *self._notes()])

    async def end_login(self, name: str, login: str, *, actor: Actor | None = None) -> LoginSession:
        """End one login of a user, by its id; raise UnknownAccountError."""
        await self._accounts.load_once()
        with audited(self._events, "end login", actor or self._user, subject=name[:32]):
            found = next((each for each in self._accounts.sessions_of(name) if each.id == login), None)
            if found is None:
                raise UnknownAccountError(f"{name[:32]} has no such login; it may have ended by itself")
            await self._accounts.end_session(found)
        return found

    def _status(self, user: User) -> UserStatus:
        now = self._now()
        sessions = [session for session in self._accounts.sessions_of(user.name) if not session.is_ended(now)]
        return UserStatus(user.name, user.role, user.created_at, user.changed_at, user.logged_in_at, sessions)

    def _notes(self) -> list[str]:
        users = self._accounts.users()
        if not users:
            return ["no user is left: everything but users and API tokens can be changed over loopback without a login"]
        if not any(user.role is UserRole.ADMIN for user in users):
            return ["no user has role admin: changes need an API token of role admin, or the control socket"]
        return []


def _ended(name: str, count: int) -> list[str]:
    return [f"{count} login{'s' if count != 1 else ''} of {name} ended"] if count else []


def _is_password(name: str, password: str) -> bool:
    """Return whether a user's name is the password, which is then written nowhere."""
    return password.casefold() == name.casefold()


def _check_password(name: str, password: str) -> None:
    if _is_password(name, password):
        raise AccountRefusedError("the password is the name of the user; choose another one")
    if any(not sign.isprintable() for sign in password):
        raise AccountRefusedError("the password has a line feed or another control character; remove it")
