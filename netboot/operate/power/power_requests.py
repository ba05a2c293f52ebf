"""Power actions on hosts: judged, stored as intents, then sent; after a restart, what is open is continued or ended.

An intent belongs to the appliance that stored it. Another one takes it over by compare-and-set once that one has ended.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from netboot.errors import StoreError, UnknownIntentError
from netboot.events.activity import ActivityLog
from netboot.model.actor import Actor
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.host.host import Host, HostName
from netboot.model.install.install import Install, InstallState
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.model.words import one_line
from netboot.operate.power.bmc_probes import BmcProbes
from netboot.operate.power.boot_lan import NoBootUri
from netboot.operate.power.lost_events import record_lost, record_lost_of
from netboot.operate.power.power_readings import observe_power, read_states
from netboot.operate.power.power_request import (
    HostPower,
    ObservedPower,
    PossibleAction,
    PowerRefusedError,
    PowerRequest,
    possible_action,
    under_way,
)
from netboot.operate.power.power_sender import PowerSender
from netboot.operate.selection import EVERY_HOST, HostSelection
from netboot.store.appliances.appliance_rows import LOST_S
from netboot.telemetry.metrics import Reading

CHECK_S: Final = 5.0  # between two readings of what is open
AWAITED_S: Final = 1.0  # the same, while an end is waited for: another appliance may store it
UNKNOWN_S: Final = 60.0  # between two readings of what is unknown, while nothing is open
STOP_S: Final = 5.0  # that actions have at a stop
MARGIN_S: Final = 60.0  # beyond the longest call to a BMC: the clocks of two appliances may differ
SHOWN: Final = 10  # intents of a host

log = structlog.get_logger()


class PowerRequests:
    """The use cases. Methods raise UnknownHostError, StoreError.

    `owner` is the id of this appliance; `running_ids` are those that run, None: that is not known yet. `is_shared`:
    others may use the store.
    """

    def __init__(
        self,
        sender: PowerSender,
        *,
        activity: ActivityLog,
        owner: str,
        running_ids: Callable[[], Collection[str] | None],
        is_shared: bool,
        new_id: Callable[[], str],
    ) -> None:
        self._sender, self._intents, self._events = sender, sender.intents, sender.events
        self.probes = BmcProbes(sender.bmcs, sender.hosts, sender.events)
        self._activity, self._owner, self._running_ids, self._new_id = activity, owner, running_ids, new_id
        self._is_shared = is_shared
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by the id of the intent
        self._unknown: dict[HostName, PowerIntent] = {}  # the newest of a host, if it is not known whether it was done
        self._open, self._unknown_due_s = 0, 0.0
        self._wake = asyncio.Event()
        self._ends: dict[str, asyncio.Event] = {}  # of the intents that are waited for, by id

    async def request(self, request: PowerRequest, *, actor: Actor) -> list[PowerIntent]:
        """Store what is to be sent, for all hosts or none; raise PowerRefusedError with every reason."""
        if request.id and (stored := await self._intents.get(request.id)) is not None:
            return [stored]
        hosts = self._selected(request)
        uris = {host.name: self._uri(host, request) for host in hosts}  # once: an interface may be lost meanwhile
        refused = await self._refused(hosts, request, uris)
        intents = [self._intent(host, request, actor, uri=uris[host.name]) for host in hosts]
        if not refused and (others := await self._intents.add(intents)):
            refused = {each.host: PossibleAction(request.action, [under_way(each)]) for each in others}
        if refused:
            raise self._refusal(request.action, refused, actor)
        for intent in intents:
            self._sender.record_request(intent)
        self._wake.set()
        return intents

    async def ended(self, intent_id: str, *, timeout_s: float) -> PowerIntent:
        """Return an intent when it has ended, or as it is after `timeout_s`; raise UnknownIntentError."""
        end = self._ends.setdefault(intent_id, asyncio.Event())
        intent = await self._intents.get(intent_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while intent is not None and intent.is_open:
                    self._wake.set()  # it is read each `AWAITED_S` from now on
                    await end.wait()
                    end = self._ends.setdefault(intent_id, asyncio.Event())
                    intent = await self._intents.get(intent_id)
        if intent is None:
            raise UnknownIntentError(f"no power action {intent_id} is kept; see netboot power status HOST")
        return intent

    async def withdraw(self, intent_id: str, *, reason: str) -> None:
        """Cancel an intent of which nothing was sent; one that is sent, has ended or is not kept is left."""
        intent = await self._intents.get(intent_id)
        if intent is None or intent.state is not IntentState.REQUESTED:
            return
        at, detail = self._sender.clock.now(), one_line(f"withdrawn: {reason}")
        cancelled = await self._intents.move(intent, IntentState.CANCELLED, at=at, detail=detail)
        if cancelled is not None:
            self._sender.record_end(cancelled)
            self._announce_end(intent_id)

    async def of_host(self, name: str) -> HostPower:
        """Return the power of a host as it was read last, its actions, and its newest intents."""
        host = self._sender.hosts().named(name)
        intents = await self._intents.of_host(host.name, limit=SHOWN)
        install = await self._sender.install_moves.read(host.name)
        open_ = next((each for each in intents if each.is_open), None)
        [actions] = await self.possible(PowerAction, [(host, install, open_)])
        return HostPower(host.name, host.bmc is not None, self.observed(host.name), actions, intents)

    async def possible(
        self, actions: Iterable[PowerAction], hosts: Sequence[tuple[Host, Install, PowerIntent | None]]
    ) -> list[list[PossibleAction]]:
        """Judge actions on each host, with its stored install and its open intent, as their request would be now."""
        judged, wanted = await self._sender.judged([install for _, install, _ in hosts]), list(actions)

        def judge(action: PowerAction, host: Host, install: Install, open_: PowerIntent | None) -> PossibleAction:
            mine, unusable = judged[host.name], self.unusable(action, host)
            return possible_action(action, host, mine, open_, shown=install.state, unusable=unusable)

        return [[judge(action, *each) for action in wanted] for each in hosts]

    def unusable(self, action: PowerAction, host: Host) -> list[str]:
        """List why an action on a host that has a BMC is refused now, whatever its machine does."""
        return self._unusable(self._uri(host, PowerRequest([host.name], action)))

    def _unusable(self, uri: str | NoBootUri | None) -> list[str]:
        library = self._sender.bmcs.unusable
        return [*([library] if library is not None else []), *([uri.reason] if isinstance(uri, NoBootUri) else [])]

    async def read(self, name: str) -> HostPower:
        """Read the state of a host's machine from its BMC, then as `of_host`."""
        await observe_power(self._sender, self._sender.hosts().named(name))
        return await self.of_host(name)

    async def read_all(self, selection: HostSelection = EVERY_HOST) -> list[ObservedPower]:
        """Read the states of the hosts of a selection that have a BMC, 20 seconds long at most.

        Those that did not answer last are read last.
        """
        return await read_states(self._sender, list(selection.of(self._sender.hosts())))

    async def verify(self, name: str) -> str | None:
        """Request the state of a host's machine; return why its BMC cannot be used for it, None: it can."""
        return (await observe_power(self._sender, self._sender.hosts().named(name), is_verified=True)).fault

    async def newest(self, hosts: Collection[HostName]) -> dict[HostName, PowerIntent]:
        """Return the newest intent of each of these hosts; if one is open, it is that one."""
        return await self._intents.newest(hosts)

    def observed(self, host: HostName) -> ObservedPower | None:
        """Return what was read of a host's power last; None: nothing since the start, or since its last reset."""
        return self._sender.observed.get(host)

    def problems(self) -> list[str]:
        """List why no BMC can be used, and the hosts of which it is not known whether their last action was done."""
        library, hosts = self._sender.bmcs.unusable, self._sender.hosts()
        if library is None or all(host.bmc is None for host in hosts):
            return self._unknown_actions()
        return [library, *self._unknown_actions()]

    def _unknown_actions(self) -> list[str]:
        return [
            f"power {each.action} of {host} was done or not: {each.detail}"
            for host, each in self._unknown.items()
            if self._sender.hosts().get(host) is not None and not self._is_ready_since(each)
        ]

    def _is_ready_since(self, intent: PowerIntent) -> bool:
        """Return whether the host has become ready after the action: it needs no other one, unless it is to be off."""
        install, sent_at = self._sender.install_moves.known(intent.host), intent.sent_at or intent.requested_at
        is_after = install.changed_at is not None and install.changed_at > sent_at
        return install.state is InstallState.READY and is_after and intent.action is not PowerAction.OFF

    def readings(self) -> Iterator[Reading]:
        """Count the actions that have not ended, and those whose outcome is unknown."""
        yield Reading("power_actions_open", self._open)
        yield Reading("power_actions_unknown", len(self._unknown_actions()))

    async def run(self) -> None:
        """Send what is requested, until cancelled; then what is being sent has `STOP_S` to end."""
        clock, is_complete = self._sender.clock, False
        began_at, began_s = clock.now(), clock.monotonic()
        try:
            while True:
                self._wake.clear()
                is_complete = is_complete or await self._record_lost(began_at, began_s)
                await self.begin_open()
                with suppress(TimeoutError):
                    async with asyncio.timeout(AWAITED_S if self._ends else CHECK_S):
                        await self._wake.wait()
        finally:
            await self._end_tasks()

    async def _record_lost(self, began_at: datetime, began_s: float) -> bool:
        """Complete the events of daemons that run no longer; return whether that is done.

        On a shared store, one that was killed counts as running for `LOST_S`.
        """
        running = self._running_ids() if self._is_shared else ()
        is_early = self._is_shared and self._sender.clock.monotonic() < began_s + LOST_S + CHECK_S
        if running is None or is_early:
            return False
        try:
            others = set(running) - {self._owner}
            await record_lost(self._sender, self._activity, others=others, before=began_at)
        except StoreError as error:
            log.warning("power.delayed", reason=str(error))
            return False
        return True

    async def begin_open(self) -> None:
        """Begin what is open and belongs to this appliance, or to one that has ended."""
        awaited = set(self._ends)
        try:
            open_ = await self._intents.open()
            if self._is_unknown_due(open_):
                self._unknown = {each.host: each for each in await self._intents.unknown()}
            mine = [each for each in [await self._owned(intent) for intent in open_] if each is not None]
        except StoreError as error:
            log.warning("power.delayed", reason=str(error))
            return
        self._open = len(open_)
        for ended in awaited - {each.id for each in open_}:  # also by another appliance
            self._announce_end(ended)
        for intent in self._first(mine):
            task = asyncio.create_task(self._work(intent))
            self._tasks[intent.id] = task
            task.add_done_callback(partial(self._forget, intent.id))

    def _first(self, mine: Sequence[PowerIntent]) -> Sequence[PowerIntent]:
        """Return the intents that begin now: as many as BMCs are used at a time, what is being sent before the oldest.

        A call to a BMC fails if it waits long for its turn; an intent may wait in the store for `LONGEST_WAIT`.
        """
        in_order = sorted(mine, key=lambda each: (each.state is not IntentState.SENDING, each.requested_at))
        return in_order[: max(self._sender.bmcs.parallel - len(self._tasks), 0)]

    def _is_unknown_due(self, open_: Sequence[PowerIntent]) -> bool:
        """Return whether an intent may have become unknown, or a later one may have followed it."""
        now_s = self._sender.clock.monotonic()
        if not open_ and self._open == 0 and now_s < self._unknown_due_s:
            return False
        self._unknown_due_s = now_s + UNKNOWN_S
        return True

    def _forget(self, intent_id: str, _task: "asyncio.Task[None]") -> None:
        del self._tasks[intent_id]

    async def _owned(self, intent: PowerIntent) -> PowerIntent | None:
        """Return an intent that this appliance is to begin now; None: another one does, or it has begun."""
        if intent.id in self._tasks:
            return None
        if intent.owner == self._owner:
            return intent
        running = self._running_ids()
        if running is None or intent.owner in running:
            return None
        # SQLite has one daemon; of PostgreSQL's others, one that counts as lost may only be cut off from the store
        if self._is_shared and intent.sent_at is not None:
            longest = timedelta(seconds=self._sender.bmcs.longest_s + MARGIN_S)
            if self._sender.clock.now() - intent.sent_at < longest:
                return None
        claimed = await self._intents.claim(intent, self._owner)
        if claimed is not None and self._is_shared:  # `_record_lost` may be over, and leaves what runs
            await record_lost_of(self._sender, self._activity, [claimed], before=self._sender.clock.now())
            await self._sender.store_events()  # before the events of this store are read for it again
        return claimed

    async def _work(self, intent: PowerIntent) -> None:
        try:
            if intent.state is IntentState.SENDING:
                await self._sender.resolve(intent)
            else:
                await self._sender.send(intent)
        except StoreError as error:  # it is open, and begun again
            log.warning("power.delayed", host=intent.host, intent=intent.id, reason=str(error))
            return
        except Exception:  # a fault of one action must end neither the others nor the daemon
            log.exception("power.work_failed", host=intent.host, intent=intent.id)
            return
        self._wake.set()
        self._announce_end(intent.id)

    def _announce_end(self, intent_id: str) -> None:
        """Let those who wait for this intent read it; what they wait for further has another event."""
        if (end := self._ends.pop(intent_id, None)) is not None:
            end.set()

    async def _end_tasks(self) -> None:
        if running := list(self._tasks.values()):
            await asyncio.wait(running, timeout=STOP_S)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._sender.bmcs.close()

    def _selected(self, request: PowerRequest) -> list[Host]:
        hosts = self._sender.hosts()
        return [hosts.named(name) for name in dict.fromkeys(request.hosts or request.selection.names(hosts))]

    def _uri(self, host: Host, request: PowerRequest) -> str | NoBootUri | None:
        """Return the URL that a request writes into the firmware of a host; None: it writes none."""
        return self._sender.boot_uri(host) if request.network_boot_of(host) is NetworkBoot.HTTP_URI else None

    async def _refused(
        self, hosts: Sequence[Host], request: PowerRequest, uris: Mapping[HostName, str | NoBootUri | None]
    ) -> Mapping[HostName, PossibleAction]:
        """Judge the hosts of a request; return those of which it is refused."""
        open_ = {each.host: each for each in await self._intents.open()}
        shown = [await self._sender.install_moves.read(host.name) for host in hosts]
        found, installs = {}, await self._sender.judged(shown)
        for host, each in zip(hosts, shown, strict=True):
            install, unusable, last = installs[host.name], self._unusable(uris[host.name]), open_.get(host.name)
            judged = possible_action(request.action, host, install, last, shown=each.state, unusable=unusable)
            if judged.reasons and not (request.is_forced and judged.is_forcible):
                found[host.name] = judged
        return found

    def _refusal(
        self, action: PowerAction, refused: Mapping[HostName, PossibleAction], actor: Actor
    ) -> PowerRefusedError:
        """Record a refusal, and return its error."""
        for host, judged in refused.items():
            reason = "; ".join(judged.reasons)
            data = {"action": action.value, "reason": reason, "actor": actor.name, "source": actor.source.value}
            self._events.emit("power.refused", data, host=host, level=logging.WARNING)
        is_forcible = all(judged.is_forcible for judged in refused.values())
        reasons = {host: judged.reasons for host, judged in refused.items()}
        return PowerRefusedError(action, reasons, is_forcible=is_forcible)

    def _intent(self, host: Host, request: PowerRequest, actor: Actor, *, uri: str | NoBootUri | None) -> PowerIntent:
        return PowerIntent(
            request.id or self._new_id(),
            host.name,
            request.action,
            actor,
            self._sender.clock.now(),
            network_boot=request.network_boot_of(host),
            uri=uri if isinstance(uri, str) else None,
            is_forced=request.is_forced,
            owner=self._owner,
        )
