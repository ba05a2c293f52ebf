"""Logins of users: a name and a password become a session, which is bound to the address that logged in.

Unknown users take as long as wrong passwords. Attempts are limited (`login_limits`).
"""

import base64
import logging
from dataclasses import dataclass, field, replace
from typing import Final

from netboot.errors import LoginLimitedError, LoginRefusedError
from netboot.events.event_bus import EventBus
from netboot.model.access.access_rule import RefusedCredential
from netboot.model.access.accounts import LoginSession, User
from netboot.model.clock import Clock
from netboot.operate.access.known_accounts import KnownAccounts, sha256_of
from netboot.operate.access.login_limits import LoginLimits
from netboot.operate.access.passwords import Passwords
from netboot.telemetry.metrics import Metrics

SESSIONS_OF_USER: Final = 16  # the oldest ends
LONGEST_NAME: Final = 32  # of a user; a longer one is not looked up

_COOKIE_BYTES: Final = 32
_ENDED: Final = RefusedCredential("this login has ended; log in again", True)
_ELSEWHERE: Final = RefusedCredential("this login belongs to another address and has ended now; log in again", True)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session that began, and the value of its cookie, which only the browser keeps."""

    session: LoginSession
    cookie: str = field(repr=False)


class Logins:
    def __init__(
        self, accounts: KnownAccounts, passwords: Passwords, events: EventBus, *, metrics: Metrics, clock: Clock
    ) -> None:
        self._accounts, self._passwords, self._events = accounts, passwords, events
        self._metrics, self._clock = metrics, clock
        self._limits = LoginLimits()

    async def log_in(self, name: str, password: str, address: str) -> LoggedIn:
        """Begin a session of a user.

        Raises LoginRefusedError, LoginLimitedError (nothing was compared; `wait_s` is for Retry-After), StoreError.
        """
        await self._accounts.load_once()
        user = self._accounts.user(name)
        wait_s = self._limits.wait_s(address, name[:LONGEST_NAME], self._clock.monotonic())
        if wait_s:
            self._note_failure(user, address, "limited")
            raise LoginLimitedError(f"too many logins failed; try again in {wait_s} s", wait_s=wait_s)
        is_right = await self._passwords.is_right(password, user.password_hash if user is not None else None)
        if user is None or not is_right:
            self._note_failure(user, address, "unknown-user" if user is None else "wrong-password")
            raise LoginRefusedError("user name or password is wrong")
        return await self._begin(user, address)

    async def _begin(self, user: User, address: str) -> LoggedIn:
        now = self._clock.now()
        cookie = base64.urlsafe_b64encode(self._clock.random_bytes(_COOKIE_BYTES)).decode().rstrip("=")
        session = LoginSession(sha256_of(cookie), user.name, user.role, address, now, now)
        async with self._accounts.changing:
            current = self._accounts.user(user.name)
            if current is None or (current.password_hash, current.role) != (user.password_hash, user.role):
                raise LoginRefusedError("the user was changed meanwhile; log in again")
            ended = [found for found in self._accounts.sessions() if found.is_ended(now)]
            own = [found for found in self._accounts.sessions_of(user.name) if found not in ended]
            ended += own[: max(0, len(own) + 1 - SESSIONS_OF_USER)]
            await self._accounts.begin_session(session, replace(current, logged_in_at=now), ended=ended)
        self._limits.note_success(address, user.name)
        self._metrics.count("logins", outcome="done")
        self._events.emit("access.logged_in", {"user": user.name, "address": address, "role": user.role.value})
        return LoggedIn(session, cookie)

    async def log_out(self, session: LoginSession) -> None:
        """End a session; raise StoreError."""
        await self._accounts.end_session(session)
        self._events.emit("access.logged_out", {"user": session.user, "address": session.address})

    def session_of(self, cookie: str, address: str) -> LoginSession | RefusedCredential:
        """Find the session of a cookie. One that is sent from another address ends: the cookie was copied."""
        session = self._accounts.session_by_hash(sha256_of(cookie))
        if session is None:
            return _ENDED
        now = self._clock.now()
        if session.is_ended(now):
            self._accounts.end_session_later(session)
            return _ENDED
        if session.address != address:
            self._accounts.end_session_later(session)
            data = {"user": session.user, "address": address, "login_address": session.address}
            self._events.emit("access.session_refused", data, level=logging.WARNING)
            return _ELSEWHERE
        return self._accounts.note_use_of_session(session, now)

    def _note_failure(self, user: User | None, address: str, reason: str) -> None:
        """Record a failed login; the name of an unknown user may be a password, so it is recorded nowhere."""
        self._metrics.count("logins", outcome="limited" if reason == "limited" else "refused")
        data = {"user": user.name if user is not None else None, "address": address, "reason": reason}
        self._events.emit("access.login_failed", data, level=logging.WARNING)
