"""The LAN on which machines boot: which interfaces serve it, and how loudly this box answers there."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network


class DhcpMode(StrEnum):
    """`dhcp.mode`: what this box is beside the LAN's own DHCP server."""

    PROXY = "proxy"  # boot data alone; another server leases the addresses
    OFF = "off"  # no socket at all
    LISTEN = "listen"  # sends nothing and says what it would have answered
    RESERVATION = "reservation"  # leases the addresses of the registered hosts as well


class DhcpListen(StrEnum):
    """`dhcp.listen`: how datagrams are heard and sent on the DHCP ports."""

    UDP = "udp"  # a socket on the port
    PACKET = "packet"  # frames, whoever holds the port


@dataclass(frozen=True, slots=True)
class WantedInterface:
    """One entry of `network.interfaces`; `address` chooses among several, `advertise` is given to machines instead."""

    name: str
    address: IPv4Address | None = None
    advertise: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as it is now: there, and with an address to answer from.

    `address` goes into replies that nobody asked for by address; `addresses` are all that the card has, in
    the kernel's order, and `networks` the networks of these. `mtu_bytes` is the link's, IP header included.
    """

    name: str
    index: int
    address: IPv4Address
    addresses: tuple[IPv4Address, ...]
    mtu_bytes: int = 1500
    networks: tuple[IPv4Network, ...] = ()
    advertise: IPv4Address | None = None  # what machines are given instead of our own address


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address of an interface, as the kernel lists it."""

    address: IPv4Interface
    is_secondary: bool = False  # a further address of a network that the interface has: IFA_F_SECONDARY


def choose_address(found: Sequence[InterfaceAddress], wanted: IPv4Address | None) -> IPv4Address:
    """Choose the address to answer from: the one that was set, else the first primary one; a /32 where all are."""
    if wanted is not None:
        return wanted
    return min(found, key=lambda each: (each.address.network.prefixlen == 32, each.is_secondary)).address.ip
