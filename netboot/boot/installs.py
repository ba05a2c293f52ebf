"""The installs as the desk sees them: a copy in memory for offers, the store for all that can wipe a disk.

Every move is made in the store first, then in memory, then told as an event. Only that a host was offered its boot is
put on record behind, because an offer waits for nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from netboot.errors import StoreError, TransitionError
from netboot.model.event import Event, Step
from netboot.model.host import HostName
from netboot.model.install import Install, InstallEvent, InstallState, Tokens
from netboot.model.mac import Mac
from netboot.store.events import EventLog
from netboot.store.installs import Change, Installs, Move, TokenKind

log = structlog.get_logger()

_STEP_OF_STATE = {
    InstallState.INSTALLING: Step.INSTALLING,
    InstallState.INSTALLED: Step.INSTALLED,
    InstallState.READY: Step.READY,
    InstallState.FAILED: Step.FAILED,
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Who or what moves an install: told in history and events."""

    mac: Mac | None = None
    note: str = ""


class InstallBook:
    """The one way to read and move installs. Async methods raise StoreError and TransitionError."""

    def __init__(self, installs: Installs, events: EventLog, *, now: Callable[[], datetime]) -> None:
        self._installs = installs
        self._events = events
        self._now = now
        self._known: dict[HostName, Install] = {}
        self._offered: set[HostName] = set()  # armed hosts whose offer is not on record yet
        self._has_offered = asyncio.Event()

    async def load(self) -> None:
        """Read all installs into memory, at start."""
        self._known = await self.all()

    def known(self, host: HostName) -> Install:
        """Give what memory knows: good for an offer, which can do no harm."""
        return self._known.get(host) or Install(host)

    async def ask(self, host: HostName) -> Install:
        """Read what the store says at this moment."""
        install = self._known[host] = await self._installs.get(host)
        return install

    async def all(self) -> dict[HostName, Install]:
        """Read what the store says of every host that it knows."""
        return {install.host: install for install in await self._installs.all()}

    async def by_token(self, kind: TokenKind, token: str) -> Install | None:
        """Find the install of a token in the store."""
        return await self._installs.by_token(kind, token)

    async def history(self, host: HostName) -> list[Move]:
        """Read how a host came to where it is."""
        return await self._installs.history(host)

    def offered(self, host: HostName) -> None:
        """Have it put on record, behind, that a host was led towards its script; nothing where it is not armed."""
        install = self.known(host)
        if install.is_armed and install.state is not InstallState.OFFERED:
            self._offered.add(host)
            self._has_offered.set()

    async def run(self) -> None:
        """Put offers on record until cancelled; one that the store does not take is dropped: its machine asks again."""
        while True:
            await self._has_offered.wait()
            self._has_offered.clear()
            while self._offered:
                host = self._offered.pop()
                try:
                    await self.move(host, InstallEvent.OFFER_SENT, cause=Cause())
                except TransitionError:
                    continue  # disarmed since
                except StoreError as error:
                    log.warning("store.offer_delayed", host=host, reason=str(error))

    async def move(
        self,
        host: HostName,
        event: InstallEvent,
        *,
        cause: Cause,
        may_move: Callable[[Install], bool] = lambda _install: True,
    ) -> Install:
        """Move one install by what a machine did; TransitionError where `may_move` does not hold in the store."""

        def moved(install: Install) -> Install:
            if not may_move(install):
                raise TransitionError(f"{host}: {event} came too late, its install has moved on")
            return install.moved_by(event, at=self._now())

        return (await self._change(host, moved, what=event.value, cause=cause)).after

    async def boot_the_installer(self, host: HostName, tokens: Tokens, *, cause: Cause) -> Install:
        """Spend one boot into the installer and give it its tokens; TransitionError where none is left."""
        self._offered.discard(host)  # what follows says more
        change = await self._change(
            host,
            lambda install: install.booting_the_installer(tokens, at=self._now()),
            what=InstallEvent.SCRIPT_SENT.value,
            cause=cause,
        )
        return change.after

    async def arm(self, host: HostName, *, reason: str, attempts: int) -> Install:
        """Allow one install, by a person's word."""
        cause = Cause(note=reason)
        at = self._now()
        change = await self._change(
            host, lambda install: install.armed(at=at, reason=reason, attempts=attempts), what="armed", cause=cause
        )
        return change.after

    async def cancel(self, host: HostName, *, reason: str) -> Install:
        """Take an arming back."""
        return (await self._change(host, Install.cancelled, what="cancelled", cause=Cause(note=reason))).after

    async def _change(self, host: HostName, move: Callable[[Install], Install], *, what: str, cause: Cause) -> Change:
        change = await self._installs.change(host, move, at=self._now(), what=what, note=cause.note)
        self._known[host] = change.after
        if change.after != change.before:
            self._tell(change, what, cause)
        return change

    def _tell(self, change: Change, what: str, cause: Cause) -> None:
        before, after = change.before, change.after
        data = {
            "by": what,
            "from": before.state.value,
            "to": after.state.value,
            "armed": after.is_armed,
            "attempt": after.arming.spent if after.arming else None,
            "note": cause.note[-500:] or None,
        }
        step = _STEP_OF_STATE.get(after.state) if after.state is not before.state else None
        self._events.record(Event("install.moved", self._now(), after.host, cause.mac, step, data))
