"""Reads and changes installs: from memory for offers, from the store for everything that can wipe a disk.

Every change is made in the store first, then in memory, then emitted as an event. One change is stored later: the offer
of a boot to an armed host, because an offer never waits for the store.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final

import structlog

from netboot.errors import StoreError, TransitionError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.checks import ChecksReport, failures
from netboot.model.install.event import Step
from netboot.model.install.install import (
    CONFIRMED,
    HELD,
    IDENTIFIED,
    RETIRED,
    STEP_OF_STATE,
    Install,
    InstallEvent,
    InstallState,
    InstallTarget,
    Move,
    checks_event,
)
from netboot.model.install.machine_identity import Hold, Identity, IdentitySource, RecordedIdentity, identity_in
from netboot.model.install.token import TokenKind, Tokens, is_well_formed
from netboot.model.words import DISKS_PRESENT, first_line
from netboot.store.database import burst_ended
from netboot.store.installs import Change, Installs

log = structlog.get_logger()

MOST_OFFERS_WAITING: Final = 10_000
OFFERS_PER_TRANSACTION: Final = 100  # a few milliseconds of the loop, in which no datagram is answered
ARMING_ENDED: Final = "arming-ended"  # in the history: netboot itself ended the arming


@dataclass(frozen=True, slots=True)
class ChangeCause:
    """The cause of a change of an install, for history and events. `actor` is the operator who requests it."""

    mac: Mac | None = None
    note: str = ""
    actor: Actor | None = None


class HostChangedError(TransitionError):
    """The host changed while its script was written, or is not the host to which its arming is bound."""


@dataclass(frozen=True, slots=True, eq=False)
class InstallMoves:
    """The only way to read and change installs. Async methods raise StoreError and TransitionError."""

    installs: Installs
    events: EventBus
    _: KW_ONLY
    hosts: Callable[[], HostSet]  # in force
    commit_of: Callable[[str], str | None]  # reads the commit of a release; called in a thread
    now: Callable[[], datetime]
    may_end: Callable[[], bool] = lambda: True  # false: another appliance declares other hosts, which may be newer
    _known: dict[HostName, Install] = field(default_factory=dict, init=False)
    _offered: set[HostName] = field(default_factory=set, init=False)  # armed hosts whose offer is not stored yet
    _has_offered: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def load(self) -> None:
        """Read all installs into memory, at start."""
        await self.read_changed(None)

    async def read_changed(self, hosts: Collection[str] | None) -> list[HostName]:
        """Read what others changed into memory; None: any install. Returns the hosts that are armed anew."""
        stored = await self.installs.readable(None if hosts is None else [*map(HostName, hosts)])
        known = {install.host: self.known(install.host) for install in stored}
        for install in stored:
            self._remember(install)
        return [each.host for each in stored if each.is_armed and each.arming != known[each.host].arming]

    def known(self, host: HostName) -> Install:
        """Return the install from memory: good enough for an offer, which is harmless."""
        return self._known.get(host) or Install(host)

    async def read(self, host: HostName) -> Install:
        """Read an install from the store."""
        install = await self.installs.get(host)
        self._remember(install)
        return install

    def _remember(self, install: Install) -> None:
        """Take an install that was read into memory, unless it was changed since."""
        if install.version >= self.known(install.host).version:
            self._known[install.host] = install

    async def all(self) -> dict[HostName, Install]:
        """Read every install in the store that this version can read."""
        return {install.host: install for install in await self.installs.readable(None)}

    async def by_token(self, kind: TokenKind, token: str) -> Install | None:
        """Find the install of a token in the store; another text costs no query."""
        return await self.installs.by_token(kind, token) if is_well_formed(token) else None

    async def history(self, host: HostName) -> list[Move]:
        return await self.installs.history(host)

    async def histories(self, hosts: Sequence[HostName]) -> dict[HostName, list[Move]]:
        """Read the histories of several hosts."""
        return await self.installs.histories(hosts)

    def counts(self) -> Counter[tuple[InstallState, bool]]:
        """Count the declared hosts by state, and by whether they are armed; from memory."""
        hosts = self.hosts()
        known = Counter((each.state, each.is_armed) for each in self._known.values() if hosts.get(each.host))
        return known + Counter({(InstallState.REGISTERED, False): len(hosts) - known.total()})

    @property
    def offers_waiting_count(self) -> int:
        """How many offers wait to be stored."""
        return len(self._offered)

    def record_offer(self, host: HostName) -> None:
        """Let `store_offers` store that a host was offered its boot; does nothing if it is not armed, or waits."""
        install = self.known(host)
        if install.is_armed and install.state is not InstallState.OFFERED and not install.has_failed_checks:
            self._offered.add(host)
            self._has_offered.set()

    async def run(self) -> None:
        """Store offers until cancelled; one that the store does not accept is dropped.

        Offers that are made meanwhile wait until the burst ends: a transaction delays the replies to other machines.
        """
        is_delayed = False
        while True:
            await self._has_offered.wait()
            self._has_offered.clear()
            waiting = len(self._offered)
            while waiting > 0 and self._offered:
                waiting -= OFFERS_PER_TRANSACTION
                hosts = list(islice(self._offered, OFFERS_PER_TRANSACTION))
                self._offered.difference_update(hosts)
                try:
                    await self.installs.finish(self._store_offers(hosts))
                except StoreError as error:
                    if not is_delayed:
                        log.warning("store.offer_delayed", hosts=len(hosts), reason=str(error))
                    is_delayed = True
                else:
                    is_delayed = False
            await burst_ended(lambda: len(self._offered), most=MOST_OFFERS_WAITING)

    async def _store_offers(self, hosts: Sequence[HostName]) -> None:
        at, what = self.now(), InstallEvent.OFFER_SENT

        def offered(install: Install) -> Install:
            try:
                return install.moved_by(what, at=at)
            except TransitionError:  # disarmed in the meantime
                return install

        for change in await self.installs.change_all(dict.fromkeys(hosts, offered), at=at, what=what.value):
            self._record(change, what.value, ChangeCause())

    async def move(
        self,
        host: HostName,
        event: InstallEvent,
        *,
        cause: ChangeCause,
        may_move: Callable[[Install], bool] = lambda _install: True,
    ) -> Install:
        """Change one install by what a machine did; TransitionError if `may_move` is false in the store."""

        def moved(install: Install) -> Install:
            if not may_move(install):
                raise TransitionError(f"{host}: {event} came too late, its install has moved on")
            return install.moved_by(event, at=self.now())

        return (await self._change(host, moved, what=event.value, cause=cause)).after

    async def record_checks(
        self, host: HostName, report: ChecksReport, *, mac: Mac | None, may_move: Callable[[Install], bool]
    ) -> None:
        """Store the checks that a machine reported; raise TransitionError if it may not be installed any longer.

        After a failed check the host is `failed`; the history has the reasons and the machine's disks.
        """

        def moved(install: Install) -> Install:
            if not may_move(install):
                raise TransitionError(f"{host}: its checks came too late, its install has moved on")
            served = install.identity.served
            shown = identity_in(report.checks, served.mac, served.address) if served is not None else None
            return install.checked(report.checks, at=self.now(), shown=shown)

        reasons = failures(report.checks)
        note = f"{'; '.join(reasons)}\n{DISKS_PRESENT}\n{report.disks}" if reasons else ""
        await self._change(host, moved, what=checks_event(report.checks).value, cause=ChangeCause(mac, note))

    async def hold(self, host: HostName, hold: Hold, *, mac: Mac) -> Install:
        """Let an armed install wait for a person; raise TransitionError if it is not armed any longer."""
        cause = ChangeCause(mac, f"{hold.what}; {hold.cure(host)}")
        return (await self._change(host, lambda install: install.held(hold), what=HELD, cause=cause)).after

    async def confirm(self, host: HostName, hold_id: str | None, *, reason: str, actor: Actor | None = None) -> Change:
        """End a hold: the machine is that of the host. Raise TransitionError if that is not what is held now."""

        def confirmed(install: Install) -> Install:
            return install.confirmed(hold_id, at=self.now())

        return await self._change(host, confirmed, what=CONFIRMED, cause=ChangeCause(note=reason, actor=actor))

    async def identify(self, identities: Mapping[HostName, Identity], *, actor: Actor) -> None:
        """Record the machines of hosts that a person registered."""
        at, source = self.now(), IdentitySource.APPROVAL
        moves = {
            host: partial(Install.identified, recorded=RecordedIdentity(identity, at, source))
            for host, identity in identities.items()
        }

        async def identified() -> None:
            for change in await self.installs.change_all(moves, at=at, what=IDENTIFIED, actor=actor):
                self._record(change, IDENTIFIED, ChangeCause(actor=actor))

        await self.installs.finish(identified())

    async def boot_the_installer(
        self,
        host: Host,
        tokens: Tokens,
        *,
        target: InstallTarget | None,
        cause: ChangeCause,
        write: Callable[[], str],
        shown: Identity,
        exchange: int | None,
        may_boot: Callable[[Install], bool],
    ) -> str:
        """Spend one boot into the installer and give it its tokens; return the script that `write` renders for it.

        `write` is called in the transaction, and what it raises undoes the boot. Raises HostChangedError if the
        arming is not for `target`, which `host` is now, if the files declare another host by now, or if `may_boot` is
        false for the machine that `shown` describes; TransitionError if no boot is left.
        """
        self._offered.discard(host.name)  # the change below covers it
        text = ""

        def moved(install: Install) -> Install:
            nonlocal text
            is_held = install.is_armed and not may_boot(install)
            if self.hosts().get(host.name) != host or install.arming_changes(target) or is_held:
                raise HostChangedError(f"{host.name} is not what it was when its script was requested")
            booting = install.booting_the_installer(tokens, at=self.now(), shown=shown, exchange=exchange)
            text = write()
            return booting

        await self._change(host.name, moved, what=InstallEvent.SCRIPT_SENT.value, cause=cause)
        return text

    async def arm_all(
        self, hosts: Collection[HostName], *, reason: str, attempts: int, actor: Actor | None = None
    ) -> list[Install]:
        """Allow one install of each host, of all of them or of none; raise TransitionError."""
        at, armed_now = self.now(), partial(Install.armed, reason=reason, attempts=attempts)
        moves = {host: partial(armed_now, at=at, target=await self.target(host)) for host in hosts}

        async def armed() -> list[Install]:
            changes = await self.installs.change_all(moves, at=at, what="armed", note=reason, actor=actor)
            return [self._record(change, "armed", ChangeCause(note=reason, actor=actor)).after for change in changes]

        return await self.installs.finish(armed())

    async def cancel(
        self, host: HostName, *, reason: str, actor: Actor | None = None, armed_at: datetime | None = None
    ) -> Change:
        """End an arming, with `armed_at` only the one of then; return the install before and after."""

        def cancelled(install: Install) -> Install:
            is_other = armed_at is not None and (install.arming is None or install.arming.at != armed_at)
            return install if is_other else install.cancelled()

        return await self._change(host, cancelled, what="cancelled", cause=ChangeCause(note=reason, actor=actor))

    async def retire(self, host: HostName, *, reason: str, actor: Actor | None = None) -> Change:
        """End an arming, and the tokens of every boot and of the node; return the install before and after."""
        return await self._change(host, Install.retired, what=RETIRED, cause=ChangeCause(note=reason, actor=actor))

    async def forget_node(self, host: HostName) -> None:
        """Delete what is known of the node of a host, and end the token of its reports."""
        await self.installs.finish(self.installs.forget_node(host))

    async def target(self, name: HostName) -> InstallTarget | None:
        """Return what an arming of a host would be bound to now; None if no file declares it."""
        host = self.hosts().get(name)
        return InstallTarget.of(host, await self._commit(host)) if host else None

    async def _commit(self, host: Host) -> str | None:
        name = host.local_release
        return await asyncio.to_thread(self.commit_of, name) if name else None

    async def end_changed_armings(self) -> list[HostName]:
        """End every arming whose host has other MACs, another disk or release now, or is no longer declared.

        Returns the hosts whose arming ended: none unless `may_end`.
        """
        ended: list[HostName] = []
        if not self.may_end():
            return ended
        commits: dict[object, str | None] = {}  # by release, which many hosts share
        for install in (await self.all()).values():
            host = self.hosts().get(install.host)
            if not install.is_armed:
                continue
            if host and host.release not in commits:
                commits[host.release] = await self._commit(host)
            if await self.end_if_changed(install, InstallTarget.of(host, commits[host.release]) if host else None):
                ended.append(install.host)
        return ended

    async def end_changed_arming(self, install: Install) -> bool:
        """End the arming of one host if it no longer fits the host; True where it ended."""
        return await self.end_if_changed(install, await self.target(install.host))

    async def end_if_changed(self, install: Install, target: InstallTarget | None, *, mac: Mac | None = None) -> bool:
        """End the arming of one host if it is not for `target`, which the host is now, and `may_end`.

        True where it is not for `target`: it is not installed here.
        """
        changes = install.arming_changes(target)
        if not changes:
            return False
        if not self.may_end():
            return True
        first = "to install it as it is now" if target else "to install it, declare it again, then"
        cause = ChangeCause(mac, f"{'; '.join(changes)}; {first}: netboot install arm {install.host}")
        await self._change(
            install.host,
            lambda now: now.cancelled() if now.arming_changes(target) else now,
            what=ARMING_ENDED,
            cause=cause,
        )
        return True

    async def _change(
        self, host: HostName, move: Callable[[Install], Install], *, what: str, cause: ChangeCause
    ) -> Change:
        """Change the store, the memory and the events: all three, also if the caller is cancelled meanwhile."""

        async def moved() -> Change:
            at, note, actor = self.now(), cause.note, cause.actor
            change = await self.installs.change(host, move, at=at, what=what, note=note, actor=actor)
            return self._record(change, what, cause)

        return await self.installs.finish(moved())

    def _record(self, change: Change, what: str, cause: ChangeCause) -> Change:
        """Take a stored change into memory, and emit it as an event."""
        before, after = change.before, change.after
        self._known[after.host] = after
        if after == before:
            return change
        data = {
            "by": what,
            "from": before.state.value,
            "to": after.state.value,
            "armed": after.is_armed,
            "attempt": after.arming.spent if after.arming else None,
            "note": first_line(cause.note) or None,
        }
        if cause.actor is not None:
            data |= {"actor": cause.actor.name, "source": cause.actor.source.value}
        host, mac = after.host, cause.mac
        if what == ARMING_ENDED:
            self.events.emit("install.arming_ended", data, host=host, mac=mac, level=logging.WARNING)
            return change
        step = STEP_OF_STATE.get(after.state) if after.state is not before.state else None
        level = logging.ERROR if step is Step.FAILED else logging.WARNING if what == HELD else logging.INFO
        self.events.emit("install.moved", data, host=host, mac=mac, step=step, level=level)
        return change
