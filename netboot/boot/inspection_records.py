"""Reads and changes what machines boot once: inspections, rescues, and wipes of retired machines.

Decisions read it from memory. What a machine boots once begins in the store, where a request is spent; so does the
permission to wipe. Every change is made in the store first, then in memory.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from typing import Final

from netboot.model.boot.offer import OncePlan, RescuePlan
from netboot.model.clock import RandomBytes
from netboot.model.host.hardware import Hardware
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection, OneTimeBoot
from netboot.model.install.token import TOKEN_BYTES, is_well_formed
from netboot.model.install.wipe import Wipe, WipeState
from netboot.store.inspections import Inspections

UNREGISTERED_KEPT: Final = 1024  # inspections of unregistered machines


@dataclass(frozen=True, slots=True, eq=False)
class InspectionRecords:
    """The only way to read and change them. Async methods raise StoreError."""

    inspections: Inspections
    _: KW_ONLY
    hosts: Callable[[], HostSet]  # in force
    now: Callable[[], datetime]
    random_bytes: RandomBytes
    _known: dict[Mac, Inspection] = field(default_factory=dict, init=False)
    _registered: set[Mac] = field(default_factory=set, init=False)  # so that their wipes end, not stored yet
    _remembering: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)  # from the store into memory

    async def load(self) -> None:
        """Read all inspections into memory, at start."""
        await self.read_changed(None)

    async def read_changed(self, macs: Collection[str] | None) -> None:
        """Read what others changed into memory; None: any inspection."""
        async with self._remembering:
            wanted = None if macs is None else [Mac(mac) for mac in macs]
            stored = await (self.inspections.all() if wanted is None else self.inspections.of(wanted))
            for mac in self._known.copy() if wanted is None else wanted:
                self._known.pop(mac, None)
            self._known.update({each.mac: each for each in stored})

    def known(self, mac: Mac) -> Inspection | None:
        """Return what is known of inspections of this card's machine; None: none was requested or begun."""
        return self._known.get(mac)

    async def all(self) -> dict[Mac, Inspection]:
        """Read every inspection in the store."""
        return {each.mac: each for each in await self.inspections.all()}

    async def of(self, macs: Collection[Mac]) -> list[Inspection]:
        """Read the inspections of these network cards in the store."""
        return await self.inspections.of(macs)

    def new_token(self) -> str:
        return self.random_bytes(TOKEN_BYTES).hex()

    async def request(self, macs: Collection[Mac]) -> None:
        """Let the machine with these cards be inspected at its next boot."""
        at = self.now()
        await self._change(macs, lambda each: each.requested(at), creates=True)

    async def request_rescue(self, macs: Collection[Mac], medium: str) -> None:
        """Let the machine with these cards boot the rescue mode of `medium` at its next boot."""
        at = self.now()
        await self._change(macs, lambda each: each.rescue_requested(medium, at=at), creates=True)

    async def request_wipe(self, wipe: Wipe, medium: str) -> None:
        """Let the machine of a retired host wipe its disk at its next boot, by `medium`."""
        await self._change(wipe.macs, lambda each: each.wipe_requested(wipe, medium), creates=True)

    async def withdraw(self, macs: Collection[Mac], kind: OneTimeBoot) -> bool:
        """End a request for an inspection or a rescue; return whether there was one."""
        requested = {each.mac for each in await self.of(macs) if each.request and each.kind is kind}
        await self._change(requested, lambda each: each.withdrawn() if each.kind is kind else each, creates=False)
        return bool(requested)

    async def cancel_wipes(self, note: str, *, which: Callable[[Wipe], bool]) -> list[Wipe]:
        """End these open wipes before their machine boots, and return them, one of each retired host.

        One that its machine was allowed to begin continues; its result is not recorded any longer.
        """
        at, ended = self.now(), dict[HostName, Wipe]()

        def cancelled(stored: Inspection) -> Inspection:
            wipe = stored.wipe
            if wipe is None or not wipe.is_open or not which(wipe):
                return stored  # it ended since it was found
            late = ", while it was being wiped" if wipe.state is WipeState.ALLOWED else ""
            ended[wipe.host] = wipe.moved(WipeState.CANCELLED, at=at, note=note + late)
            return stored.wipe_ended(WipeState.CANCELLED, note + late, at=at)

        wipes = {mac: each.wipe for mac, each in (await self.all()).items() if each.wipe is not None}
        found = [mac for mac, wipe in wipes.items() if wipe.is_open and which(wipe)]
        await self._change(found, cancelled, creates=False)
        return list(ended.values())

    async def begin(self, plan: OncePlan, *, is_seen: Callable[[Mac], bool]) -> bool:
        """Store that the machine boots `plan` from its card, which ends a request for its other cards.

        False if the record changed since the plan was made, so that it would begin something else; if the machine to
        wipe is registered now; or if too many unregistered machines were inspected. One that `is_seen` no longer is
        forgotten then.
        """
        if not await self._has_place(plan.mac, is_seen):
            return False
        before, at, is_begun = self._known.get(plan.mac, Inspection(plan.mac)), self.now(), False

        def begun(stored: Inspection) -> Inspection:
            nonlocal is_begun
            if stored.mac != plan.mac:
                return replace(stored.withdrawn(), wipe=None if stored.kind is OneTimeBoot.WIPE else stored.wipe)
            is_begun = stored == before and self._is_due(plan, stored)
            if not is_begun:
                return stored
            if isinstance(plan, RescuePlan):
                return stored.withdrawn()
            return stored.begun(plan.medium, plan.token, at=at)

        await self._change({plan.mac, *_cards_of(plan)}, begun, creates=True)
        return is_begun

    async def by_token(self, token: str) -> Inspection | None:
        """Find the inspection that a token opens; another text costs no query."""
        return await self.inspections.by_token(token) if is_well_formed(token) else None

    async def report(self, mac: Mac, token: str, hardware: Hardware) -> bool:
        """Store a report, and spend its token; False if it was spent meanwhile."""
        at = self.now()
        return await self._by_token(
            mac, token, lambda each: each.reported(hardware, at=at), may=lambda each: each.running_wipe is None
        )

    async def allow_wipe(self, mac: Mac, token: str, hardware: Hardware) -> bool:
        """Store that a machine may write to its disk; False if its token was spent, or it was registered meanwhile."""
        at = self.now()

        def may(stored: Inspection) -> bool:
            return stored.running_wipe is not None and not self._is_registered(stored.running_wipe)

        return await self._by_token(mac, token, lambda each: each.wipe_allowed(hardware, at=at), may=may)

    async def end_wipe(self, mac: Mac, token: str, state: WipeState, note: str) -> bool:
        """Store the result of a wipe, and spend its token; False if it was spent meanwhile."""
        at = self.now()
        return await self._by_token(
            mac, token, lambda each: each.wipe_ended(state, note, at=at), may=lambda each: each.running_wipe is not None
        )

    async def end_unfit(self, registered: Collection[Mac]) -> list[Wipe]:
        """End the requests that no longer fit the hosts: wipes of `registered` machines, rescues of others.

        Returns the wipes that were ended. What a store that fails does not end is ended at the next call, also if its
        machine is not registered any longer; no wipe of it begins or is permitted until then.
        """
        self._registered.update(registered)
        rescues = [each.mac for each in (await self.all()).values() if each.kind is OneTimeBoot.RESCUE]
        await self.withdraw([mac for mac in rescues if mac not in registered], OneTimeBoot.RESCUE)
        ended = await self.cancel_wipes(
            "its machine was registered again", which=lambda wipe: not self._registered.isdisjoint(wipe.macs)
        )
        self._registered.clear()
        return ended

    async def _by_token(
        self,
        mac: Mac,
        token: str,
        move: Callable[[Inspection], Inspection],
        *,
        may: Callable[[Inspection], bool] = lambda _: True,
    ) -> bool:
        is_taken = False

        def moved(stored: Inspection) -> Inspection:
            nonlocal is_taken
            is_taken = stored.token == token and may(stored)
            return move(stored) if is_taken else stored

        await self._change([mac], moved, creates=False)
        return is_taken

    async def _change(self, macs: Collection[Mac], move: Callable[[Inspection], Inspection], *, creates: bool) -> None:
        if macs:
            async with self._remembering:
                changed = await self.inspections.change(macs, move, creates=creates)
                self._known.update({each.mac: each for each in changed})

    def _is_due(self, plan: OncePlan, stored: Inspection) -> bool:
        """Return whether a boot of `plan` begins what is stored for its card now: this wipe, or none."""
        if isinstance(plan, RescuePlan):
            return stored.requested_wipe is None
        return plan.wipe == stored.requested_wipe and not (plan.wipe and self._is_registered(plan.wipe))

    def _is_registered(self, wipe: Wipe) -> bool:
        return any(mac in self._registered or self.hosts().by_mac(mac) is not None for mac in wipe.macs)

    async def _has_place(self, mac: Mac, is_seen: Callable[[Mac], bool]) -> bool:
        """Forget the inspections of unregistered machines that are gone, if too many are kept for one more.

        What an operator requested is kept, and so is every wipe, with its result.
        """
        hosts = self.hosts()
        unregistered = [each for each in self._known if hosts.by_mac(each) is None]
        if hosts.by_mac(mac) is not None or mac in self._known or len(unregistered) < UNREGISTERED_KEPT:
            return True
        kept = {mac for mac, each in self._known.items() if each.is_requested or each.wipe is not None}
        gone = [each for each in unregistered if not is_seen(each) and each not in kept]
        async with self._remembering:
            await self.inspections.forget(gone)
            for each in gone:
                self._known.pop(each, None)
        return len(unregistered) - len(gone) < UNREGISTERED_KEPT


def _cards_of(plan: OncePlan) -> Collection[Mac]:
    if plan.host is not None:
        return plan.host.macs
    return plan.wipe.macs if plan.wipe is not None else ()
