"""Stores in memory which client holds which address until when: the state of `leasing.rules`, which decides.

The network cards of a registered host share one address. Times ending in `_s` are on the monotonic clock.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address
from typing import assert_never

from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.lease import Lease, LeaseDropReason, LeaseState


@dataclass(frozen=True, slots=True)
class Moment:
    """The present, in UTC and on the clock that leases are counted on."""

    utc: datetime
    monotonic_s: float


class Held(StrEnum):
    """How an address is held."""

    PROBED = "probed"
    OFFERED = "offered"
    BOUND = "bound"
    ENDED = "ended"  # released or expired: its machine gets it again if it is still free
    RESTING = "resting"  # an unknown machine has it


@dataclass(slots=True)
class Holding:
    """One held address; the holding ends at `until_s`."""

    client: str
    mac: Mac | None
    held: Held
    until_s: float
    before: "Holding | None" = None  # restored after a lost probe or a failed write
    settles_until_s: float = 0.0  # of a lease: until then its card may not answer a probe yet


@dataclass(frozen=True, slots=True)
class LeaseClient:
    """A client. A registered host is identified by its MAC, because each stage of a boot sends another option 61."""

    key: str
    mac: Mac | None
    host: Host | None
    address: IPv4Address | None  # that the registry gives it

    def has_by_another_card(self, holding: Holding) -> bool:
        """Return whether the holder is the same machine by another network card."""
        return self.host is not None and holding.client != self.key and holding.client in self.host.macs

    def may_take_over(self, holding: Holding, at: Moment) -> bool:
        """Return whether a machine may have switched from its other network card; a probe verifies it.

        An offer to the other card is held for its time (RFC 2131 §3.1 steps 2 and 3), and so is a lease that was only
        now given: its ACK is under way.
        """
        is_settled = holding.held is Held.BOUND and at.monotonic_s >= holding.settles_until_s
        return is_settled and self.has_by_another_card(holding)

    def refused_by(self, holding: Holding) -> LeaseDropReason:
        """Return the reason why this client gets no reply about an address that another client holds."""
        is_own = self.has_by_another_card(holding)
        return LeaseDropReason.HELD_BY_OTHER_CARD if is_own else LeaseDropReason.ADDRESS_IN_USE


class Holdings:
    """All holdings by address and by client; at most one for each address. `stored` is what the store has of each."""

    def __init__(self) -> None:
        self.stored: dict[IPv4Address, Lease] = {}
        self._by_address: dict[IPv4Address, Holding] = {}
        self._address_of: dict[str, IPv4Address] = {}

    def get(self, address: IPv4Address) -> Holding | None:
        """Find a holding, in force or not."""
        return self._by_address.get(address)

    def in_force(self, address: IPv4Address, at: Moment) -> Holding | None:
        holding = self._by_address.get(address)
        return holding if holding is not None and holding.until_s > at.monotonic_s else None

    def address_of(self, client: str) -> IPv4Address | None:
        """Find the address that a client holds, or held last."""
        return self._address_of.get(client)

    def address_on_record(self, client: str) -> IPv4Address | None:
        """Find the address that was leased to a client, now or before; an offer does not count."""
        address = self._address_of.get(client)
        if address is None or self._by_address[address].held not in (Held.BOUND, Held.ENDED):
            return None
        return address

    def last_used_s(self, address: IPv4Address) -> float:
        """Return when the last holding of an address ends, to choose the one unused for longest."""
        holding = self._by_address.get(address)
        return holding.until_s if holding is not None else float("-inf")

    def hold(self, address: IPv4Address, client: str, mac: Mac | None, held: Held, until_s: float) -> Holding:
        """Let a client hold an address; an empty client is an unknown machine."""
        before = self._by_address.get(address)
        if before is not None:
            self._forget(before.client, address)
            if before.held is Held.PROBED and before.client == client:
                before = before.before
            elif before.before is not None:
                before.before = None  # one undo step is enough
        holding = self._by_address[address] = Holding(client, mac, held, until_s, before)
        if client:
            self._address_of[client] = address
        return holding

    def follow(self, lease: Lease, at: Moment, *, rests_s: float, settles_s: float = 0.0) -> None:
        """Let an address be held as it is stored: at the start, or after another appliance leased it or ended a lease.

        The end of a lease ends no offer of the address to another client.
        """
        address, now_s = lease.address, at.monotonic_s
        if self.stored.get(address) == lease:
            return
        self.stored[address] = lease
        match lease.state:
            case LeaseState.BOUND:
                other = self._address_of.get(lease.client, address)
                holding = self.hold(address, lease.client, lease.mac, Held.BOUND, now_s + lease.lease_s)
                holding.settles_until_s = now_s + settles_s
                newer = self.stored.get(other)
                if newer is not None and newer.state is LeaseState.BOUND and newer.ends_at > lease.ends_at:
                    self._address_of[lease.client] = other  # it has moved on from this one
            case LeaseState.DECLINED:
                self.hold(address, "", None, Held.RESTING, now_s + rests_s)
            case LeaseState.RELEASED | LeaseState.EXPIRED:
                current = self.in_force(address, at)
                if current is None or current.held is Held.BOUND:
                    self.hold(address, lease.client, lease.mac, Held.ENDED, now_s)
            case _:
                assert_never(lease.state)

    def note_stored(self, lease: Lease) -> None:
        """Note that a lease is stored that was granted or ended here."""
        self.stored[lease.address] = lease
        holding = self._by_address.get(lease.address)
        if holding is not None and holding.held is Held.BOUND and holding.client == lease.client:
            self._address_of[lease.client] = lease.address  # an older lease of it may have been followed meanwhile

    def undo(self, address: IPv4Address) -> None:
        """Let an address be held as before, by a client that has not got another one since."""
        holding = self._by_address.pop(address)
        self._forget(holding.client, address)
        if holding.before is not None:
            self._by_address[address] = holding.before
            if holding.before.client:
                self._address_of.setdefault(holding.before.client, address)

    def end_expired(self, at: Moment) -> list[tuple[IPv4Address, Holding]]:
        """End the leases that have expired, and return them."""
        over = [
            (address, holding)
            for address, holding in self._by_address.items()
            if holding.held is Held.BOUND and holding.until_s <= at.monotonic_s
        ]
        for _, holding in over:
            holding.held = Held.ENDED
        return over

    def _forget(self, client: str, address: IPv4Address) -> None:
        if self._address_of.get(client) == address:
            del self._address_of[client]
