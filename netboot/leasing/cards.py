"""The client of a lease, and the choice between a host's network cards, which share one address. Pure."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from netboot.leasing.holdings import Held, Holding, Moment
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.lease import LeaseDropReason


@dataclass(frozen=True, slots=True)
class LeaseClient:
    """A client. A registered host is identified by its MAC, because each stage of a boot sends another option 61."""

    key: str
    mac: Mac | None
    host: Host | None
    address: IPv4Address | None  # that the registry gives it


def is_another_card(client: LeaseClient, holding: Holding) -> bool:
    """Return whether the holder is the same machine by another network card."""
    return client.host is not None and holding.client != client.key and holding.client in client.host.macs


def may_be_taken_over(client: LeaseClient, holding: Holding, at: Moment) -> bool:
    """Return whether a machine may have switched from its other network card; a probe verifies it.

    An offer to the other card is held for its time (RFC 2131 §3.1 steps 2 and 3), and so is a lease that was only now
    given: its ACK is under way.
    """
    return is_another_card(client, holding) and holding.held is Held.BOUND and at.monotonic_s >= holding.settles_until_s


def taken_by(client: LeaseClient, holding: Holding) -> LeaseDropReason:
    """Return the reason why a client gets no reply about an address that another client holds."""
    return LeaseDropReason.HELD_BY_OTHER_CARD if is_another_card(client, holding) else LeaseDropReason.ADDRESS_IN_USE
