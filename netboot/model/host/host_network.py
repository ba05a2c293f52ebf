"""The network of a host: one record for kernel arguments, Kickstart and keyfiles alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Final

BOND_NAME: Final = "bond0"


@dataclass(frozen=True, slots=True)
class Route:
    """A network that is reached by another router than the gateway."""

    to: IPv4Network | IPv6Network
    via: IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Bond:
    """All cards of the host as one; `options` are those of the kernel's bonding driver, such as `miimon`."""

    mode: str
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def settings(self) -> Mapping[str, str]:
        """Return mode and options; links are checked every 100 ms, as by NetworkManager (the kernel alone: never)."""
        checks = {} if self.options.keys() & {"miimon", "arp_interval"} else {"miimon": "100"}
        return {"mode": self.mode, **checks, **self.options}


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """Without `address` IPv4 is configured by DHCP, without `address6` IPv6 by router advertisements."""

    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    nameservers: tuple[IPv4Address | IPv6Address, ...] = ()
    interface: str | None = None  # the name that the installed system gives the card or bond; None: any name
    address6: IPv6Interface | None = None
    gateway6: IPv6Address | None = None
    search: tuple[str, ...] = ()
    mtu_bytes: int | None = None  # of the card or bond, IP header included
    routes: tuple[Route, ...] = ()
    vlan: int | None = None  # the installed system's traffic is tagged; the boot is not
    bond: Bond | None = None
    pool: str | None = None  # the address pool that it names; its address is of the pool, or its own

    @property
    def boot_address(self) -> IPv4Interface | None:
        """Return the static address on the boot LAN; one in a VLAN is on another LAN."""
        return self.address if self.vlan is None else None

    @property
    def carrier(self) -> str | None:
        """Return the name of the card or bond below the VLAN."""
        return self.interface or (BOND_NAME if self.bond else None)

    @property
    def device(self) -> str | None:
        """Return the name of the device that has the addresses; None if any card may have them."""
        if self.vlan is None:
            return self.carrier
        return f"{self.carrier}.{self.vlan}" if self.carrier else f"vlan{self.vlan}"


BY_DHCP: Final = HostNetwork()
