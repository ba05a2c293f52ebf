"""The boot LAN: the interfaces that serve it, and the DHCP mode."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network


class DhcpMode(StrEnum):
    """`dhcp.mode`: how the daemon works beside the LAN's own DHCP server."""

    PROXY = "proxy"  # boot data alone; another server leases the addresses
    OFF = "off"  # no socket at all
    LISTEN = "listen"  # sends nothing and logs the replies that it would send
    RESERVATION = "reservation"  # leases the addresses of the registered hosts as well


class DhcpListen(StrEnum):
    """`dhcp.listen`: how datagrams are received and sent on the DHCP ports."""

    UDP = "udp"  # a socket on the port
    PACKET = "packet"  # Ethernet frames; another program may hold the port


@dataclass(frozen=True, slots=True)
class InterfaceSetting:
    """One entry of `network.interfaces`; `address` chooses among several, `advertise` is published instead."""

    name: str
    address: IPv4Address | None = None
    advertise: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """One existing interface with an address to reply from."""

    name: str
    index: int
    address: IPv4Address  # the source of replies to broadcasts
    addresses: tuple[IPv4Address, ...]  # all that the card has, in the kernel's order
    mtu_bytes: int = 1500  # of the link, IP header included
    networks: tuple[IPv4Network, ...] = ()  # of `addresses`
    advertise: IPv4Address | None = None  # published instead of our own address


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


@lru_cache(maxsize=1024)
def ipv4_of(peer: str) -> IPv4Address | None:
    """Read a peer's address; None for IPv6, by which no machine of ours boots."""
    try:
        return IPv4Address(peer)
    except ValueError:
        return None
