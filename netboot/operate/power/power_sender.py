"""Sends one power action to a BMC: what may be repeated first, then the stored `sending`, then the reset, once.

What cannot be known, because netboot ended while it sent a reset, is read from the machine's state if a state shows
it. It is never sent again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog

from netboot.boot.install_moves import InstallMoves
from netboot.errors import BmcError, StoreError, TransitionError
from netboot.events.event_bus import EventBus
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.install.event import Event
from netboot.model.install.install import Install, InstallState, Move
from netboot.model.power.power import IntentState, PowerIntent, PowerState, ResetAction
from netboot.model.power.refusal import refusal
from netboot.model.words import one_line
from netboot.operate.power.boot_lan import NoBootUri
from netboot.operate.power.power_request import UNPROVED, ObservedPower, judged_install, no_bmc
from netboot.store.power.power_intents import PowerIntents
from netboot.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from netboot.bmc.bmc_machine import BmcMachine
    from netboot.bmc.bmcs import Bmcs

LONGEST_WAIT: Final = timedelta(minutes=10)  # of a request: after that it surprises
STATE_READS: Final = 6  # of a machine whose state must show whether a reset was done
STATE_PAUSE_S: Final = 3.0
HOSTS_AT_ONCE: Final = 100  # in a query of their histories
RETRY_S: Final = 1.0  # of a store that does not accept an end
_UNTRUE: Final = "power.sent was recorded before, and is not true"  # the call ended while that was stored

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _End:
    """How an intent ends, and why."""

    state: IntentState
    detail: str


@dataclass(frozen=True, slots=True)
class _Reset:
    """The reset that remains to be sent; `remaining`: what is to be done after it before the machine boots its URL."""

    host: Host
    action: ResetAction
    remaining: Sequence[str]


@dataclass(slots=True)
class _Sending:
    """A reset under way: its intent as it is stored, its last judgement, and why it is not sent, or not again.

    `is_over`: the call has ended, so that nothing is sent from now on; its thread sets it.
    """

    intent: PowerIntent
    action: ResetAction
    prevented: StoreError | TransitionError | None = None
    is_overtaken: bool = False
    is_over: bool = False
    is_recorded: bool = False
    _judged: Future[None] | None = None
    _is_closed: bool = False
    _lock: Lock = field(default_factory=Lock)

    def judge(self, begin: Callable[[], Future[None]]) -> Future[None]:
        """Begin a judgement on the event loop, from the thread of the call; a cancelled one after `close`."""
        with self._lock:  # the loop may run it, and call `close`, before `begin` returns
            if self._is_closed:
                refused = Future[None]()
                refused.cancel()
                return refused
            self._judged = begin()
            return self._judged

    def close(self) -> Future[None] | None:
        """Let no further judgement begin; return the last one."""
        with self._lock:
            self._is_closed = True
            return self._judged


@dataclass(frozen=True, slots=True)
class PowerSender:
    """Runs intents that this appliance owns. `boot_uri` of a host is what its firmware boots with `http-uri`."""

    bmcs: "Bmcs"
    intents: PowerIntents
    install_moves: InstallMoves
    events: EventBus
    hosts: Callable[[], HostSet]
    boot_uri: Callable[[Host], str | NoBootUri]
    store_events: Callable[[], Awaitable[object]]
    metrics: Metrics
    clock: Clock
    observed: MutableMapping[HostName, ObservedPower]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def send(self, intent: PowerIntent) -> None:
        """Do what is requested, and store its end; raise StoreError if that is to be tried again."""
        prepared = await self._prepared(intent)
        if isinstance(prepared, _End):
            await self._end(intent, prepared)
            return
        sending = _Sending(intent, prepared.action)
        end = await self._reset(sending, prepared)
        if not sending.is_overtaken:
            await self._end(sending.intent, end)

    async def resolve(self, intent: PowerIntent) -> None:
        """End an intent whose appliance ended while it sent the reset."""
        reason = "netboot ended while it sent the reset"
        host = self._host(intent)
        if isinstance(host, str):
            await self._end(intent, _End(IntentState.UNKNOWN, f"{reason}, and {host}"))
        else:
            await self._end(intent, await self._end_by_state(intent, host, reason))

    async def install_of(self, host: HostName) -> tuple[Install, InstallState]:
        """Read the install by which an action on a host is judged, and the state that is shown of it."""
        install = await self.install_moves.read(host)
        return (await self.judged([install]))[host], install.state

    async def judged(self, installs: Sequence[Install]) -> dict[HostName, Install]:
        """Return installs as actions judge them, by host; raise StoreError."""
        unproved = [each.host for each in installs if each.state in UNPROVED]
        now, histories = self.clock.now(), dict[HostName, list[Move]]()
        for first in range(0, len(unproved), HOSTS_AT_ONCE):
            histories |= await self.install_moves.histories(unproved[first : first + HOSTS_AT_ONCE])
        return {
            each.host: judged_install(each, histories[each.host], now=now) if each.host in histories else each
            for each in installs
        }

    async def _prepared(self, intent: PowerIntent) -> _Reset | _End:
        """Judge an intent again, and do what comes before its reset."""
        host = self._host(intent)
        if isinstance(host, str):
            return _End(IntentState.CANCELLED, host)
        if (why := await self._refusal(intent)) is not None:
            return _End(IntentState.CANCELLED, why)
        # an appliance that has ended may have requested it; at a start, before the listeners are open, none is known
        if intent.uri is not None and isinstance(uri := self.boot_uri(host), str) and uri != intent.uri:
            why = f"its URL, {intent.uri}, is not the one of {host.name} here now"
            return _End(IntentState.CANCELLED, f"{why}; request it again")
        try:
            action, remaining = await self.bmcs.call(host, lambda machine: _prepare(machine, intent))
        except BmcError as error:
            return _End(IntentState.FAILED, str(error))
        if action is None:
            return _End(IntentState.DONE, f"{host.name} is {intent.action} already")
        return _Reset(host, action, remaining)

    def _host(self, intent: PowerIntent) -> Host | str:
        """Return the host of an intent, or why nothing can be sent for it any longer."""
        host = self.hosts().get(intent.host)
        if host is None:
            return f"{intent.host} is no longer declared"
        return host if host.bmc is not None else no_bmc(host.name)

    async def _refusal(self, intent: PowerIntent) -> str | None:
        if abs(self.clock.now() - intent.requested_at) > LONGEST_WAIT:
            return f"it was requested at {intent.requested_at:%Y-%m-%d %H:%M:%S} and not sent in time; request it again"
        install, shown = await self.install_of(intent.host)
        return refusal(intent.action, install, shown=shown, is_forced=intent.is_forced)

    async def _reset(self, sending: _Sending, prepared: _Reset) -> _End:
        loop = asyncio.get_running_loop()

        def allow() -> Future[None]:
            return sending.judge(lambda: asyncio.run_coroutine_threadsafe(self._allow(sending), loop))

        def power(machine: "BmcMachine") -> None:
            try:
                machine.power(prepared.action, allow)
            finally:
                sending.is_over = True

        try:
            await self.bmcs.call(prepared.host, power)
        except BmcError as error:
            judged = sending.close()
            was_judged = judged is not None and judged.done()
            if judged is not None:  # the store may answer after the call has ended: what it has stored counts
                await asyncio.gather(asyncio.wrap_future(judged), return_exceptions=True)
            end = await self._end_of_failed(sending, prepared.host, error)
            is_untrue = sending.is_recorded and not was_judged and end.state is IntentState.FAILED
            return replace(end, detail=f"{end.detail}; {_UNTRUE}") if is_untrue else end
        finally:
            if (judged := sending.close()) is not None:
                judged.cancel()  # at a stop: what is requested still is continued by the next start
        if not prepared.remaining:
            return _End(IntentState.DONE, "")
        name, remaining = prepared.host.name, "; ".join(prepared.remaining)
        return _End(
            IntentState.INCOMPLETE, f"the reset was sent, and {name} boots its URL only after this: {remaining}"
        )

    async def _allow(self, sending: _Sending) -> None:
        """Judge a reset immediately before it is sent, or sent again; before the first time store that it is sent.

        The call before may have waited minutes for its turn, and the BMC for its login. Raises for what is not sent.
        """
        before, is_first = sending.intent, sending.intent.state is IntentState.REQUESTED
        try:
            if (why := await self._refusal(before)) is not None:
                raise TransitionError(why)
            if is_first:
                stored = await self.intents.move(before, IntentState.SENDING, at=self.clock.now())
            else:
                stored = await self.intents.get(before.id)
            if stored is None or not (is_first or stored == before):
                sending.is_overtaken = True
                raise TransitionError("another appliance has taken it over")
        except (StoreError, TransitionError) as error:
            sending.prevented = error
            raise
        if is_first:
            sending.intent = stored
            if sending.is_over:
                return  # it was judged too late
            self.observed.pop(stored.host, None)  # it changes now
            sending.is_recorded = True
            self._emit("power.sent", stored, {"reset": sending.action.value})
            await self.store_events()  # before the machine changes

    async def _end_of_failed(self, sending: _Sending, host: Host, error: BmcError) -> _End:
        """Return the end of an action whose call failed, or that was not allowed; raise the error of the store."""
        prevented, is_sent = sending.prevented, sending.intent.state is IntentState.SENDING
        reason = f"it was not sent again: {prevented}" if prevented is not None else error.reason
        if error.is_outcome_unknown:
            return await self._end_by_state(sending.intent, host, reason)
        if prevented is None:
            return _End(IntentState.FAILED, str(error))
        if is_sent:  # and refused: only such a one is sent again
            return _End(IntentState.FAILED, reason)
        if isinstance(prevented, StoreError):
            raise prevented
        return _End(IntentState.CANCELLED, str(prevented))

    async def _end_by_state(self, intent: PowerIntent, host: Host, reason: str) -> _End:
        """Return the end of an intent that was done or not, by the state of the machine if a state shows that."""
        wanted, cure = intent.action.wanted, f"look at the machine: netboot power status {host.name}"
        if wanted is None:
            done = f"{reason}: the machine was restarted or not"
            return _End(IntentState.UNKNOWN, f"{done}; {cure}; then request it again if it is needed")
        state = PowerState.UNKNOWN
        for attempt in range(STATE_READS):
            if attempt:
                await self.pause(STATE_PAUSE_S)
            try:
                state = await self.bmcs.call(host, lambda machine: machine.state())
            except BmcError as error:
                return _End(IntentState.UNKNOWN, f"{reason}, and then: {error}")
            if state is wanted:
                return _End(IntentState.DONE, f"{reason}; {host.name} is {state}")
        return _End(IntentState.FAILED, f"{reason}, and {host.name} is {state}; request it again")

    async def _end(self, intent: PowerIntent, end: _End) -> None:
        """Store an end, also if the store fails for a while, and record it."""
        ended = await self._stored_end(intent, replace(end, detail=one_line(end.detail)))  # a BMC may send any text
        if ended is None:
            return  # another appliance has ended it
        self.record_end(ended)

    def record_request(self, intent: PowerIntent) -> None:
        """Record a stored request."""
        self._emit("power.requested", intent, {}, at=intent.requested_at)

    def record_end(self, ended: PowerIntent, *, is_late: bool = False) -> None:
        """Record a stored end: the event, and the metric unless the end is one of an earlier daemon."""
        if not is_late:
            self.metrics.count("power_actions", action=ended.action.value, outcome=ended.state.value)
        outcome = {"outcome": ended.state.value, "reason": ended.detail or None}
        if ended.state in {IntentState.INCOMPLETE, IntentState.FAILED, IntentState.UNKNOWN}:
            self._emit("power.failed", ended, outcome, at=ended.ended_at, level=logging.ERROR)
        else:
            self._emit("power.ended", ended, outcome, at=ended.ended_at)

    async def _stored_end(self, intent: PowerIntent, end: _End) -> PowerIntent | None:
        at = self.clock.now()
        while True:
            try:
                if (ended := await self.intents.move(intent, end.state, at=at, detail=end.detail)) is not None:
                    return ended
                stored = await self.intents.get(intent.id)  # an attempt before may have succeeded
                return stored if stored == intent.moved(end.state, at=at, detail=end.detail) else None
            except StoreError as error:
                log.warning("power.end_delayed", host=intent.host, intent=intent.id, reason=str(error))
                await self.pause(RETRY_S)

    def _emit(
        self,
        name: str,
        intent: PowerIntent,
        data: dict[str, str | None],
        *,
        at: datetime | None = None,
        level: int = logging.INFO,
    ) -> None:
        event = Event(name, at or self.clock.now(), intent.host, data={**intent_data(intent), **data})
        self.events.record(event, level=level)


def intent_data(intent: PowerIntent) -> dict[str, str | bool | None]:
    """Return what each event about an intent has: the audit trail of the action."""
    return {
        "intent": intent.id,
        "action": intent.action.value,
        "network_boot": intent.network_boot.value if intent.network_boot is not None else None,
        "forced": intent.is_forced,
        "actor": intent.actor.name,
        "source": intent.actor.source.value,
    }


def _prepare(machine: "BmcMachine", intent: PowerIntent) -> tuple[ResetAction | None, Sequence[str]]:
    """Set the one-time network boot, which may be repeated; return the reset that remains, and what else is to be done.

    Runs in a thread. A machine that is not the host's is left as it is: nobody has judged its install.
    """
    remaining: Sequence[str] = ()
    machine.verify_host()
    if intent.uri is not None:
        remaining = machine.write_boot_uri(intent.uri)
    elif intent.network_boot is not None:
        machine.boot_once(intent.network_boot)
    return intent.action.reset(machine.state()), remaining
