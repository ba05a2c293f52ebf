"""Users, their sessions, and API tokens, as the store keeps them: of a secret only its hash."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from netboot.model.access.access_rule import UserRole

SESSION_IDLE: Final = timedelta(hours=12)
SESSION_LONGEST: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class User:
    """A person who logs in."""

    name: str
    role: UserRole
    password_hash: str = field(repr=False)  # argon2id, in PHC form
    created_at: datetime
    changed_at: datetime  # of password or role
    logged_in_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What a program sends in `Authorization`."""

    name: str
    role: UserRole
    sha256: str = field(repr=False)
    created_at: datetime
    created_by: str  # the name of an actor
    expires_at: datetime | None
    used_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A login in one browser; it is valid from the address that logged in."""

    sha256: str = field(repr=False)  # of the cookie
    user: str
    role: UserRole
    address: str
    began_at: datetime
    used_at: datetime

    @property
    def id(self) -> str:
        """Name it among the sessions of its user; nobody gets its cookie from this."""
        return self.sha256[:16]

    def ends_at(self) -> datetime:
        """Return when it ends if it is not used until then."""
        return min(self.used_at + SESSION_IDLE, self.began_at + SESSION_LONGEST)

    def is_ended(self, now: datetime) -> bool:
        return now >= self.ends_at()
