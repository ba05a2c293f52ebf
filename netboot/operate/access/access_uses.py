"""The use cases of access, on one set of accounts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.clock import Clock
from netboot.operate.access.api_tokens import ApiTokens
from netboot.operate.access.known_accounts import KnownAccounts
from netboot.operate.access.logins import Logins
from netboot.operate.access.passwords import Passwords
from netboot.operate.access.user_accounts import UserAccounts
from netboot.store.access.account_store import AccountStore
from netboot.telemetry.metrics import Metrics, Reading


@dataclass(frozen=True, slots=True)
class AccessUses:
    """Users, API tokens and logins."""

    users: UserAccounts
    tokens: ApiTokens
    logins: Logins
    accounts: KnownAccounts
    now: Callable[[], datetime]

    @classmethod
    def of(cls, store: AccountStore, events: EventBus, *, user: Actor, clock: Clock, metrics: Metrics) -> Self:
        """Build them on the tables of the store; `user` is the actor of a change that names none."""
        accounts, passwords = KnownAccounts(store), Passwords()
        return cls(
            UserAccounts(accounts, passwords, events, user=user, now=clock.now),
            ApiTokens(accounts, events, user=user, now=clock.now, random_bytes=clock.random_bytes),
            Logins(accounts, passwords, events, metrics=metrics, clock=clock),
            accounts,
            clock.now,
        )

    async def load(self) -> None:
        """Read what is stored, the first time; raise StoreError."""
        await self.accounts.load_once()

    @property
    def has_users(self) -> bool:
        """Return whether a user exists; what is stored must be loaded."""
        return bool(self.accounts.users())

    def on_ended(self, follower: Callable[[str], None]) -> None:
        """Call `follower` with the hash of each session that ends and of each token that is revoked."""
        self.accounts.on_ended(follower)

    def readings(self) -> list[Reading]:
        """Read the gauges, from memory."""
        now = self.now()
        return [Reading("sessions", sum(not session.is_ended(now) for session in self.accounts.sessions()))]
