"""Holds back the Ignition of the role of each host that a rollout lets join later.

Which hosts are held is in memory, for what is verified before an install; whether one may join now is read from the
store at each request, so that a permit that was taken back, here or by another appliance, is not used.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime

from netboot.model.host.host import HostName
from netboot.model.install.install import Install
from netboot.model.rollout.join_hold import JoinHold, JoinState
from netboot.store.rollouts.rollout_store import Rollouts
from netboot.store.sealing.sealing import token_digest


class JoinGate:
    """The hosts that a rollout holds. Async methods raise StoreError."""

    def __init__(self, rollouts: Rollouts, now: Callable[[], datetime]) -> None:
        self._rollouts, self._now = rollouts, now
        self._held: frozenset[HostName] = frozenset()

    async def read_changed(self, _subjects: object = None) -> None:
        """Read which hosts are held now."""
        active = await self._rollouts.active()
        hosts = active.hosts if active is not None else ()
        self._held = frozenset(each.host for each in hosts if not each.is_over)

    def holds(self, host: HostName) -> bool:
        """Return whether a host of a rollout has not joined yet: it is installed without the file of its role."""
        return host in self._held

    async def hold_of(self, install: Install) -> JoinHold | None:
        """Return the hold of an install; None: it gets its Ignition as any other host."""
        hold = await self._rollouts.hold_of(install.host)
        if hold is None or hold.state(token_digest(install.tokens.ignition), self._now()) is JoinState.FREE:
            return None
        return hold

    async def permits(self, hold: JoinHold, install: Install, role: bytes) -> bool:
        """Return whether a host may get these bytes of its role's file now, and record what it gets."""
        now, digest = self._now(), token_digest(install.tokens.ignition)
        if hold.state(digest, now) is JoinState.PERMITTED:
            return await self._rollouts.note_served(hold, hashlib.sha256(role).hexdigest(), now)
        await self.note_request(hold)
        return False

    async def note_request(self, hold: JoinHold) -> None:
        """Record that the installed system of a host waits for its role's file."""
        if hold.is_active and not hold.host.is_over and hold.host.requested_at is None:
            await self._rollouts.note_requested(hold, self._now())
