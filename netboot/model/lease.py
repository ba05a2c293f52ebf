"""The types of leasing: what a client requests, what may be leased, and what the reply contains.

Used where this appliance is the LAN's only DHCP server (`dhcp.mode: reservation`). RFC 2131 §4.3 defines the requests.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from netboot.model.host.mac import Mac


class LeaseRequestKind(StrEnum):
    """What a client requests; a REQUEST by the state that RFC 2131 §4.3.2 derives from its fields."""

    DISCOVER = "discover"
    SELECTING = "selecting"  # accepts our offer
    SELECTING_ANOTHER = "selecting-another"  # accepts another server's
    INIT_REBOOT = "init-reboot"  # had the address before it was switched off
    RENEWING = "renewing"  # by unicast, at half time
    REBINDING = "rebinding"  # by broadcast or through a relay, without a reply to its unicast
    DECLINE = "decline"  # another machine uses the address
    RELEASE = "release"
    INFORM = "inform"  # has an address, requests the options


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    kind: LeaseRequestKind
    client_id: str  # option 61, else hardware type and address: identifies an unregistered client
    mac: Mac | None  # identifies a registered host
    address: IPv4Address | None = None  # requested, held, declined or released
    relay: IPv4Address | None = None
    subnet: IPv4Address | None = None  # an address in the subnet that option 82.5 or 118 requests


class LeaseState(StrEnum):
    """The state of an address; a binding is kept after its lease, so that a machine gets the same one again."""

    BOUND = "bound"
    RELEASED = "released"
    EXPIRED = "expired"
    DECLINED = "declined"  # an unknown machine uses it: it is not leased for a while


@dataclass(frozen=True, slots=True)
class Lease:
    """One stored address. `ends_at` is for display; the daemon counts `lease_s` on its monotonic clock."""

    address: IPv4Address
    client: str  # a registered host's MAC, else LeaseRequest.client_id
    mac: Mac | None
    state: LeaseState
    lease_s: int
    ends_at: datetime

    def may_replace(self, stored: "Lease | None", *, known: "Lease | None") -> bool:
        """Return whether this may be stored in the place of `stored`; `known` was stored when this was decided.

        Another appliance on the store may have changed it since then: what it leased stays, and so does its renewal of
        a lease that ends here. A lease is of a client and its card, because two machines may send one option 61.
        """
        if stored is None or stored == known:
            return True
        if self.state is LeaseState.EXPIRED:
            return False
        if stored.state is LeaseState.BOUND:
            return (stored.client, stored.mac) == (self.client, self.mac)
        return stored.state is not LeaseState.DECLINED


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses from `first` to `last`, both included. `network`: of a pool behind a relay; `router`: in its leases."""

    first: IPv4Address
    last: IPv4Address
    network: IPv4Network | None = None
    router: IPv4Address | None = None

    def __str__(self) -> str:
        return f"{self.first}-{self.last}" if self.first != self.last else str(self.first)

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last

    def __iter__(self) -> Iterator[IPv4Address]:
        return (IPv4Address(number) for number in range(int(self.first), int(self.last) + 1))

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """`dhcp.pool`, `.lease_s`, `.router`, `.nameservers`, `.ntp_servers`, `.domain`: what no host declares."""

    pool: tuple[AddressRange, ...]
    lease_s: int
    router: IPv4Address | None = None
    nameservers: tuple[IPv4Address, ...] = ()
    domain: str | None = None
    ntp_servers: tuple[IPv4Address, ...] = ()


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What a client is sent about its network. `address` is None for an INFORM: it has one already."""

    network: IPv4Network
    address: IPv4Address | None
    lease_s: int
    router: IPv4Address | None = None
    nameservers: tuple[IPv4Address, ...] = ()
    host_name: str | None = None
    domain: str | None = None
    ntp_servers: tuple[IPv4Address, ...] = ()


class LeaseDropReason(StrEnum):
    """Why a lease request gets no reply; the same word in log, metric and documentation."""

    NO_ADDRESS_FOR_CLIENT = "no-address-for-client"  # not registered with an address, and no pool here
    POOL_EXHAUSTED = "pool-exhausted"
    OTHER_NETWORK = "other-network"  # its address is not of the LAN that it is on
    ADDRESS_IN_USE = "address-in-use"  # by another machine, according to the probe or a lease
    HELD_BY_OTHER_CARD = "held-by-other-card"  # the host's other card has the offer or the lease
    ADDRESS_PROBED = "address-probed"  # the reply waits for the probe
    NOTHING_ON_RECORD = "nothing-on-record"
    OTHER_LEASE_SERVER = "other-lease-server"
    MISFORMED_REQUEST = "misformed-request"  # no state of RFC 2131 §4.3.2 sends such fields
    NOT_ITS_ADDRESS = "not-its-address"  # it declines or releases what it does not hold
    NO_ANSWER_DUE = "no-answer-due"  # DECLINE and RELEASE get no reply
    STORE_UNREACHABLE = "store-unreachable"  # only a stored lease is given
    GRANTED_ELSEWHERE = "granted-elsewhere"  # another appliance on the store leased the address meanwhile
    TOO_BUSY = "too-busy"


@dataclass(frozen=True, slots=True)
class LeaseOffered:
    """OFFER these terms."""

    terms: LeaseTerms


@dataclass(frozen=True, slots=True)
class LeaseToProbe:
    """Probe whether a machine on the LAN uses this address, then decide again."""

    address: IPv4Address
    is_relayed: bool  # ARP does not reach behind a relay


@dataclass(frozen=True, slots=True)
class LeaseGranted:
    """ACK these terms once `lease` is stored."""

    terms: LeaseTerms
    lease: Lease
    is_new: bool  # no renewal
    known: Lease | None = None  # what was stored of the address when this was decided


@dataclass(frozen=True, slots=True)
class LeaseInformed:
    """ACK these terms; nothing is leased."""

    terms: LeaseTerms


@dataclass(frozen=True, slots=True)
class LeaseRefused:
    """NAK with this reason, in option 56."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaseClosed:
    """No reply; `lease` is stored as declined, released or expired. `known` as of `LeaseGranted`."""

    lease: Lease
    known: Lease | None = None


LeaseVerdict = LeaseOffered | LeaseToProbe | LeaseGranted | LeaseInformed | LeaseRefused | LeaseClosed | LeaseDropReason


def is_address_in(networks: Iterable[IPv4Network], address: IPv4Address) -> bool:
    """Return whether a machine of these networks may have the address: no network and no broadcast address."""
    return any(
        address in network
        and (network.prefixlen >= 31 or address not in (network.network_address, network.broadcast_address))
        for network in networks
    )
