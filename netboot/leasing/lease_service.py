"""Address leases: decides by `leasing.rules`, stores in `store.leases`, emits events.

A lease is on disk before its ACK is sent; if the store fails, no address is leased.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection
from ipaddress import IPv4Address
from typing import Final

import structlog

from netboot.errors import StoreError
from netboot.events.event_bus import EventBus
from netboot.leasing.holdings import Moment
from netboot.leasing.rules import Leases, Networks
from netboot.model.clock import Clock
from netboot.model.host.host import HostSet
from netboot.model.host.mac import Mac
from netboot.model.lease import (
    Lease,
    LeaseClosed,
    LeaseDropReason,
    LeaseGranted,
    LeasePolicy,
    LeaseRequest,
    LeaseState,
    LeaseVerdict,
)
from netboot.store.leases import LeaseStore
from netboot.telemetry.logs import LineLimit

SWEEP_S: Final = 30.0  # time until an ended lease is stored as ended
REPORT_AGAIN_S: Final = 600.0  # the same problem with the same address
REPORTS_HELD: Final = 1024  # problems that are remembered for that time

log = structlog.get_logger()


class LeaseService:
    """Leases addresses; `hosts` returns the registered hosts in force."""

    def __init__(
        self, policy: LeasePolicy, store: LeaseStore, *, hosts: Callable[[], HostSet], events: EventBus, clock: Clock
    ) -> None:
        self._leases = Leases(policy, hosts)
        self._store = store
        self._events = events
        self._clock = clock
        self._is_end_delayed = False  # the store did not accept the last end of a lease
        self._reports = LineLimit(clock.monotonic, interval_s=REPORT_AGAIN_S, faults_held=REPORTS_HELD)
        self._unstored = Counter[IPv4Address]()  # what was decided of an address and is not stored yet

    async def load(self) -> None:
        """Load the stored leases; raise StoreError."""
        self._leases.load(await self._store.all(), self._now())

    def decide(self, request: LeaseRequest, networks: Networks, ours: Collection[IPv4Address]) -> LeaseVerdict:
        """Answer a request from memory; a grant or an end takes effect by `keep`."""
        verdict = self._leases.decide(request, networks, ours, self._now())
        if verdict is LeaseDropReason.POOL_EXHAUSTED:
            cure = "widen dhcp.pool, shorten dhcp.lease_s, or register the machine"
            self._emit("lease.pool_exhausted", None, request.mac, cure=cure)
        elif isinstance(verdict, LeaseGranted | LeaseClosed):
            self._unstored[verdict.lease.address] += 1
        return verdict

    def record_probe(self, request: LeaseRequest, address: IPv4Address, holder: Mac | None) -> bool:
        """Process the result of a probe, the holder or None; return whether the request may be decided again."""
        host = self._leases.host_of(request.mac)
        if holder is not None and (host is None or holder not in host.macs):  # else its own other network card
            cure = f"find the machine with the MAC {holder} and take the address from it"
            self._emit("lease.conflict_found", address, request.mac, holder=holder, cure=cure)
        return self._leases.record_probe(request, address, is_in_use=holder is not None, at=self._now())

    async def keep(self, verdict: LeaseGranted | LeaseClosed) -> LeaseDropReason | None:
        """Store a verdict; return the reason if a grant must not be answered after all.

        `GRANTED_ELSEWHERE`: another appliance leased the address meanwhile; the request can be decided again.
        """
        lease = verdict.lease
        try:
            written = await self._store.keep(lease, known=verdict.known)
        except StoreError as error:
            if lease.state is LeaseState.EXPIRED:
                if not self._is_end_delayed:
                    log.warning("lease.end_delayed", address=str(lease.address), reason=str(error))
                self._is_end_delayed = True
            elif self._reports.note(f"lease.held_back {lease.address}"):
                log.error("lease.held_back", address=str(lease.address), mac=lease.mac, reason=str(error))
            if isinstance(verdict, LeaseGranted):
                self._leases.take_back(lease)
            return LeaseDropReason.STORE_UNREACHABLE
        finally:
            self._end_unstored(lease.address)
        self._is_end_delayed = False
        if not written.is_kept:
            self._follow(written.stored)
            return LeaseDropReason.GRANTED_ELSEWHERE if isinstance(verdict, LeaseGranted) else None
        self._leases.note_stored(lease)
        if isinstance(verdict, LeaseGranted) and not self._leases.is_current(lease):
            return LeaseDropReason.NOT_ITS_ADDRESS
        self._report(verdict, written.replaced)
        return None

    def _report(self, verdict: LeaseGranted | LeaseClosed, replaced: Lease | None) -> None:
        """Emit what was stored, if no other appliance has stored the same meanwhile."""
        lease = verdict.lease
        if replaced is not None and replaced != verdict.known and replaced.state is lease.state:
            return
        if isinstance(verdict, LeaseGranted):
            if verdict.is_new:
                self._emit("lease.granted", lease.address, lease.mac, lease_s=lease.lease_s)
        elif lease.state is LeaseState.DECLINED:
            cure = "find the machine that has the address: arping -D shows its MAC"
            self._emit("lease.declined", lease.address, lease.mac, cure=cure)
        elif lease.state is LeaseState.RELEASED:
            self._emit("lease.released", lease.address, lease.mac)

    async def read_changed(self, addresses: Collection[str] | None) -> None:
        """Take the leases of these addresses that another appliance stored, None: of all; raise StoreError."""
        for lease in await self._store.read(addresses):
            self._follow(lease)

    def _follow(self, lease: Lease) -> None:
        if not self._unstored[lease.address]:  # else its own outcome shows which of the two is stored
            self._leases.follow(lease, self._now())

    def _end_unstored(self, address: IPv4Address) -> None:
        self._unstored[address] -= 1
        if self._unstored[address] <= 0:
            del self._unstored[address]

    async def run(self) -> None:
        """Store ended leases until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Store that leases ended, where no appliance renewed them meanwhile."""
        ended = self._leases.end_expired(self._now())
        self._unstored.update(closed.lease.address for closed in ended)
        for closed in ended:
            if not self._leases.is_current(closed.lease):
                self._end_unstored(closed.lease.address)
                continue  # granted again during the loop: the grant must stay stored
            await self.keep(closed)

    def _now(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    def _emit(
        self, event: str, address: IPv4Address | None, mac: Mac | None, *, cure: str = "", **data: str | int
    ) -> None:
        """Emit an event; one with a `cure` is a problem, emitted once in `REPORT_AGAIN_S` for each address."""
        shown = str(address) if address is not None else None
        if cure:
            if not self._reports.note(f"{event} {address}"):
                return
            data = {**data, "cure": cure}
        level = logging.ERROR if cure else logging.INFO
        self._events.emit(event, {"address": shown, **data}, host=self._leases.host_of(mac), mac=mac, level=level)
