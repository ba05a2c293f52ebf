"""What a firmware got by DHCP: its lease, and the boot file that it will load."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from netboot.probe.dhcp.dhcp_answer import DhcpAnswer


@dataclass(frozen=True, slots=True)
class MachineLease:
    """The address of a machine, from the ACK of a lease server."""

    address: IPv4Interface
    server: IPv4Address
    lease_s: int
    gateway: IPv4Address | None
    nameservers: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class PacketBootFile:
    """Where a loader that reads the firmware's packets finds its files: shim and GRUB, not iPXE."""

    server: IPv4Address
    file: str
    origin: str  # of which packet


@dataclass(frozen=True, slots=True)
class BootOffer:
    """The boot file that a firmware chose. `port` is the server's port it came from; `waited_s` since the DISCOVER.

    `local_boot` is what the firmware prints if the offer leads it to its next boot entry; then `file` is empty.
    """

    server: IPv4Address
    file: str
    is_url: bool
    lease: MachineLease | None
    port: int
    options: Mapping[int, bytes]
    waited_s: float
    local_boot: str = ""
    packets: PacketBootFile | None = None
    offers: tuple[DhcpAnswer, ...] = field(default=(), repr=False)
