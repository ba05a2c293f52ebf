"""Reads and changes inspections: from memory for decisions, because an inspection writes no disk; begun in the store.

Every change is made in the store first, then in memory.
"""

from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Final

from netboot.model.clock import RandomBytes
from netboot.model.host.hardware import Hardware
from netboot.model.host.host import HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.model.install.token import TOKEN_BYTES, is_well_formed
from netboot.store.inspections import Inspections

UNREGISTERED_KEPT: Final = 1024  # inspections of unregistered machines


@dataclass(frozen=True, slots=True, eq=False)
class InspectionRecords:
    """The only way to read and change inspections. Async methods raise StoreError."""

    inspections: Inspections
    _: KW_ONLY
    hosts: Callable[[], HostSet]  # in force
    now: Callable[[], datetime]
    random_bytes: RandomBytes
    _known: dict[Mac, Inspection] = field(default_factory=dict, init=False)

    async def load(self) -> None:
        """Read all inspections into memory, at start."""
        self._known.update({each.mac: each for each in await self.inspections.all()})

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
        self._take(await self.inspections.change(macs, lambda each: each.requested(at), creates=True))

    async def withdraw(self, macs: Collection[Mac]) -> None:
        """End such a request."""
        self._take(await self.inspections.change(macs, Inspection.withdrawn, creates=False))

    async def begin(
        self, mac: Mac, medium: str, token: str, *, others: Collection[Mac], is_seen: Callable[[Mac], bool]
    ) -> bool:
        """Store that the machine boots its inspection from card `mac`, which ends a request for its `others`.

        False if the inspection changed meanwhile, by another appliance on the same store, or if too many unregistered
        machines were inspected. One that `is_seen` no longer is forgotten then.
        """
        if not await self._has_place(mac, is_seen):
            return False
        before = self._known.get(mac, Inspection(mac))
        at = self.now()

        def begun(stored: Inspection) -> Inspection:
            if stored.mac != mac:
                return stored.withdrawn()
            return stored.begun(medium, token, at=at) if stored == before else stored

        changed = await self.inspections.change({mac, *others}, begun, creates=True)
        self._take(changed)
        return any(each.token == token for each in changed)

    async def by_token(self, token: str) -> Inspection | None:
        """Find the inspection that a token opens; another text costs no query."""
        return await self.inspections.by_token(token) if is_well_formed(token) else None

    async def report(self, mac: Mac, token: str, hardware: Hardware) -> bool:
        """Store a report, and spend its token; False if it was spent meanwhile."""
        at, is_taken = self.now(), False

        def reported(stored: Inspection) -> Inspection:
            nonlocal is_taken
            is_taken = stored.token == token
            return stored.reported(hardware, at=at) if is_taken else stored

        self._take(await self.inspections.change([mac], reported, creates=False))
        return is_taken

    def _take(self, changed: Collection[Inspection]) -> None:
        self._known.update({each.mac: each for each in changed})

    async def _has_place(self, mac: Mac, is_seen: Callable[[Mac], bool]) -> bool:
        """Forget the inspections of unregistered machines that are gone, if too many are kept for one more."""
        hosts = self.hosts()
        unregistered = [each for each in self._known if hosts.by_mac(each) is None]
        if hosts.by_mac(mac) is not None or mac in self._known or len(unregistered) < UNREGISTERED_KEPT:
            return True
        gone = [each for each in unregistered if not is_seen(each)]
        await self.inspections.forget(gone)
        for each in gone:
            self._known.pop(each, None)
        return len(unregistered) - len(gone) < UNREGISTERED_KEPT
