"""Address pools: the addresses that hosts can get, and which host got which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

from netboot.model.host.host import HostName

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AddressSpan:
    """Addresses from `first` to `last`, both included; `text` is how the file has them."""

    first: IpAddress
    last: IpAddress
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text

    def __contains__(self, address: IpAddress) -> bool:
        return int(self.first) <= int(address) <= int(self.last)

    def overlaps(self, other: "AddressSpan") -> bool:
        return int(self.first) <= int(other.last) and int(other.first) <= int(self.last)


@dataclass(frozen=True, slots=True)
class AddressPool:
    """The addresses of one family in a pool."""

    subnet: IpNetwork
    spans: Sequence[AddressSpan]

    def __contains__(self, address: IpAddress) -> bool:
        if address.version != self.subnet.version or not any(address in span for span in self.spans):
            return False
        return address not in unusable(self.subnet)

    def addresses(self) -> Iterator[IpAddress]:
        """Yield the addresses that a host can have, the lowest first."""
        excluded = unusable(self.subnet)
        for span in sorted(self.spans, key=lambda span: int(span.first)):
            for number in range(int(span.first), int(span.last) + 1):
                address = type(span.first)(number)
                if address not in excluded:
                    yield address


def unusable(network: IpNetwork) -> dict[IpAddress, str]:
    """Return the addresses of a network that no host can have, each with what it is.

    The first one of an IPv6 network is the anycast address of its routers (RFC 4291 §2.6.1).
    """
    if network.max_prefixlen - network.prefixlen < 2:
        return {}
    if isinstance(network, IPv6Network):
        return {network.network_address: "router anycast"}
    return {network.network_address: "network", network.broadcast_address: "broadcast"}


@dataclass(frozen=True, slots=True)
class RecordedAddress:
    """An address that the store keeps for a host."""

    address: IpAddress
    host: HostName
    at: datetime

    @classmethod
    def parse(cls, address: str, host: str, at: str) -> Self:
        """Read a row of the store."""
        return cls(ip_address(address), HostName(host), datetime.fromisoformat(at))


@dataclass(frozen=True, slots=True)
class Allocation:
    """An address of a pool that a host has; `recorded` is what the store has about the address, if anything."""

    address: IpAddress
    host: HostName
    recorded: RecordedAddress | None = None

    @property
    def is_recorded(self) -> bool:
        """The store keeps the address for this host; otherwise for a host that no longer uses it, or for none."""
        return self.recorded is not None and self.recorded.host == self.host
