"""The words of leasing: how a client requests an address, what may be leased, and what the answer says.

Used where this box is the LAN's only DHCP server (`dhcp.mode: reservation`). RFC 2131 §4.3 names the questions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network

from netboot.model.host.mac import Mac


class LeaseRequestKind(StrEnum):
    """What a client wants; REQUEST by the state that RFC 2131 §4.3.2 reads out of its fields."""

    DISCOVER = "discover"
    SELECTING = "selecting"  # takes our offer
    SELECTING_ANOTHER = "selecting-another"  # takes another server's
    INIT_REBOOT = "init-reboot"  # had the address before it was switched off
    RENEWING = "renewing"  # by unicast, at half time
    REBINDING = "rebinding"  # by broadcast, or through a relay, when nobody answered
    DECLINE = "decline"  # somebody has the address already
    RELEASE = "release"
    INFORM = "inform"  # has an address, wants the rest


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """One message of a client, as far as leasing goes."""

    kind: LeaseRequestKind
    client_id: str  # option 61, else hardware type and address: identifies an unregistered client
    mac: Mac | None  # who a registered host is
    address: IPv4Address | None = None  # that is asked for, held, declined or released
    relay: IPv4Address | None = None
    subnet: IPv4Address | None = None  # an address in the subnet that option 82.5 or 118 asks for


class LeaseState(StrEnum):
    """What became of an address; a binding outlives its lease, so that a machine gets the same one again."""

    BOUND = "bound"
    RELEASED = "released"
    EXPIRED = "expired"
    DECLINED = "declined"  # somebody unknown has it: it rests


@dataclass(frozen=True, slots=True)
class Lease:
    """One address on record.

    `ends_at` tells people; the daemon itself counts `lease_s` on a clock that nobody sets.
    """

    address: IPv4Address
    client: str  # a registered host's MAC, else LeaseQuestion.client_id
    mac: Mac | None
    state: LeaseState
    lease_s: int
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class AddressRange:
    """Addresses from `first` to `last`, both included.

    `network` is theirs where the settings state it, as a pool behind a relay has to; a lease names `router`.
    """

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
    """`dhcp.pool`, `.lease_s`, `.router`, `.nameservers`, `.ntp_servers`, `.domain`: what leases say beside hosts."""

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
    """Why a question about a lease gets no answer; the same word in log, metric and documentation."""

    NO_ADDRESS_FOR_CLIENT = "no-address-for-client"  # not registered with an address, and no pool here
    POOL_EXHAUSTED = "pool-exhausted"
    OTHER_NETWORK = "other-network"  # its address is not of the LAN where it asks
    ADDRESS_IN_USE = "address-in-use"  # by another machine: the probe or a lease says so
    HELD_BY_OTHER_CARD = "held-by-other-card"  # the host's other card has the offer or the lease
    ADDRESS_PROBED = "address-probed"  # the answer waits for the probe
    NOTHING_ON_RECORD = "nothing-on-record"
    OTHER_LEASE_SERVER = "other-lease-server"
    MISFORMED_REQUEST = "misformed-request"  # no state of RFC 2131 §4.3.2 sends such fields
    NOT_ITS_ADDRESS = "not-its-address"  # it declines or releases what it does not hold
    NO_ANSWER_DUE = "no-answer-due"  # DECLINE and RELEASE get no reply
    STORE_UNREACHABLE = "store-unreachable"  # a lease that is not on disk is not given
    TOO_BUSY = "too-busy"


@dataclass(frozen=True, slots=True)
class LeaseOffered:
    """OFFER these terms."""

    terms: LeaseTerms


@dataclass(frozen=True, slots=True)
class LeaseToProbe:
    """Ask the LAN whether anybody has this address, then ask again."""

    address: IPv4Address
    is_relayed: bool  # ARP does not reach behind a relay


@dataclass(frozen=True, slots=True)
class LeaseGranted:
    """ACK these terms once `lease` is on disk."""

    terms: LeaseTerms
    lease: Lease
    is_new: bool  # no renewal


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
    """No answer; `lease` goes on record as declined or released."""

    lease: Lease


LeaseVerdict = LeaseOffered | LeaseToProbe | LeaseGranted | LeaseInformed | LeaseRefused | LeaseClosed | LeaseDropReason


def is_address_in(networks: Iterable[IPv4Network], address: IPv4Address) -> bool:
    """Tell whether a machine of these networks may have the address: not their own, nor everybody's there."""
    return any(
        address in network
        and (network.prefixlen >= 31 or address not in (network.network_address, network.broadcast_address))
        for network in networks
    )


def overlaps(networks: Iterable[IPv4Network], network: IPv4Network) -> bool:
    """Tell whether a network shares addresses with one of these."""
    return any(network.overlaps(each) for each in networks)
