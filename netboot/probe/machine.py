"""One simulated machine: its identity, its firmware, its place on the LAN, and how it behaves."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from uuid import UUID

from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.firmwares.firmware_profile import FirmwareProfile
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.lan.udp_frames import Way
from netboot.probe.machine_timeline import MachineTimeline


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a machine differs from one that boots undisturbed.

    `haste` divides the waits of its firmware: 1 is real time. Loss and delay of datagrams belong to the interface.
    """

    haste: float = 1.0
    aborts_at: Step | None = None  # it is switched off during this step
    retries: int = 0  # how often it repeats a transfer that it has received
    duplicates: bool = False  # it sends each datagram twice
    reorders: bool = False  # it acknowledges and requests in another order
    bytes_per_s: float | None = None  # how fast it receives

    def wait_s(self, firmware_s: float) -> float:
        """Return how long to wait where its firmware waits this many seconds."""
        return firmware_s / self.haste


@dataclass(frozen=True, slots=True)
class HeldAddress:
    """An address of a machine on the interface; `release` is the DHCP RELEASE for it, None if it is not leased."""

    address: IPv4Interface
    release: tuple[bytes, Way] | None = None


@dataclass(slots=True)
class SimulatedMachine:
    """A machine that boots; `address` is what its sockets are bound to, once it has one."""

    mac: Mac
    uuid: UUID
    profile: FirmwareProfile
    lan: LanInterface
    timeline: MachineTimeline
    behaviour: Behaviour = field(default_factory=Behaviour)
    fixed_address: IPv4Interface | None = None  # for a LAN without a DHCP server
    address: IPv4Address | None = None  # from the lease, or the fixed one
    held: list[HeldAddress] = field(default_factory=list)

    @property
    def frame_mac(self) -> bytes:
        """The source of its Ethernet frames; of an InfiniBand GUID, the bytes that Ethernet would have."""
        raw = bytes.fromhex(self.mac.replace(":", ""))
        return raw[:3] + raw[-3:]

    async def hold(self, held: HeldAddress) -> None:
        """Add an address to the interface and use it from now on. It is released at the latest with the interface."""
        if not self.held:
            self.lan.call_at_exit(self.release_leases)
        await self.lan.add_address(held.address)
        self.held.append(held)
        self.address = held.address.ip

    def release_leases(self) -> None:
        """Send a RELEASE for each lease that is held."""
        for held in self.held:
            if held.release is not None:
                self.lan.send_at_once(*held.release)
        self.held = [HeldAddress(held.address) for held in self.held]

    async def power_off(self) -> None:
        """Release the leases and remove the addresses; the interface does the same for machines that it still has."""
        self.release_leases()
        held, self.held, self.address = self.held, [], None
        for each in held:
            await self.lan.remove_address(each.address.ip)
