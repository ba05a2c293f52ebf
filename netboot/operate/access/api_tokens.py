"""What an operator requests of API tokens: to list, make and revoke them; and the check of one that a program sends."""

import base64
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from netboot.errors import AccountRefusedError, UnknownAccountError
from netboot.events.event_bus import EventBus
from netboot.model.access.access_rule import RefusedCredential, UserRole
from netboot.model.access.accounts import ApiToken
from netboot.model.actor import Actor
from netboot.model.clock import RandomBytes
from netboot.operate.access.known_accounts import KnownAccounts, sha256_of
from netboot.operate.audit import audited

MOST_TOKENS: Final = 500
PREFIX: Final = "nb_"
DEFAULT_LIFE: Final = timedelta(days=90)
LONGEST_LIFE: Final = timedelta(days=3650)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to make; `life` None: it does not expire."""

    name: str
    role: UserRole
    life: timedelta | None = DEFAULT_LIFE


@dataclass(frozen=True, slots=True, repr=False)
class CreatedToken:
    """A new token, with what a program sends. It is shown once: only its hash is stored."""

    name: str
    role: UserRole
    expires_at: datetime | None
    token: str

    def __repr__(self) -> str:
        return f"CreatedToken({self.name!r})"


class ApiTokens:
    def __init__(
        self,
        accounts: KnownAccounts,
        events: EventBus,
        *,
        user: Actor,
        now: Callable[[], datetime],
        random_bytes: RandomBytes,
    ) -> None:
        """`user` is the actor of a change that names none: the user of this process."""
        self._accounts, self._events, self._user = accounts, events, user
        self._now, self._random_bytes = now, random_bytes

    async def all(self) -> list[ApiToken]:
        """List the API tokens by name; raise StoreError."""
        await self._accounts.load_once()
        return self._accounts.tokens()

    async def create(self, new: NewToken, *, actor: Actor | None = None) -> CreatedToken:
        """Make an API token; raise AccountRefusedError if the name is used or a value is not accepted."""
        await self._accounts.load_once()
        by = actor or self._user
        with audited(self._events, "create token", by, subject=f"{new.name[:63]}: role {new.role}"):
            if not _NAME.fullmatch(new.name):
                raise AccountRefusedError(
                    "cannot make this token: its name has at most 63 letters, digits, dots, dashes and underscores, "
                    "a letter or digit first"
                )
            if new.life is not None and not timedelta(minutes=1) <= new.life <= LONGEST_LIFE:
                raise AccountRefusedError(
                    f"cannot make token {new.name}: it expires after a minute at least and {LONGEST_LIFE.days} days at "
                    "most, or never"
                )
            async with self._accounts.changing:
                if self._accounts.token(new.name) is not None:
                    raise AccountRefusedError(
                        f"cannot make token {new.name}: one has this name; netboot token revoke {new.name}, "
                        "or choose another name"
                    )
                if len(self._accounts.tokens()) >= MOST_TOKENS:
                    raise AccountRefusedError(f"cannot make token {new.name}: {MOST_TOKENS} exist; revoke one first")
                now = self._now()
                secret = PREFIX + base64.urlsafe_b64encode(self._random_bytes(_SECRET_BYTES)).decode().rstrip("=")
                expires_at = now + new.life if new.life is not None else None
                token = ApiToken(new.name, new.role, sha256_of(secret), now, by.name, expires_at)
                await self._accounts.keep_token(token)
        return CreatedToken(token.name, token.role, token.expires_at, secret)

    async def revoke(self, name: str, *, actor: Actor | None = None) -> ApiToken:
        """Revoke an API token; raise UnknownAccountError."""
        await self._accounts.load_once()
        with audited(self._events, "revoke token", actor or self._user, subject=name[:63]):
            async with self._accounts.changing:
                token = self._accounts.token(name)
                if token is None:
                    raise UnknownAccountError(f"no API token is called {name}; netboot token list shows them")
                await self._accounts.remove_token(token)
        return token

    def token_of(self, sent: str, address: str) -> ApiToken | RefusedCredential:
        """Find the token that a program sends; an unknown, revoked or expired one is refused, and an event."""
        token = self._accounts.token_by_hash(sha256_of(sent))
        now = self._now()
        if token is not None and not token.is_expired(now):
            return self._accounts.note_use_of_token(token, now)
        reason = "unknown" if token is None else "expired"
        data = {"address": address, "token": token.name if token is not None else None, "reason": reason}
        self._events.emit("access.token_refused", data, level=logging.WARNING)
        if token is None:
            return RefusedCredential("this API token is unknown or revoked; netboot token create makes one", False)
        return RefusedCredential(
            f"the API token {token.name} has expired; netboot token create makes another one", False
        )
