"""What packets showed of each machine: its announcement, its addresses, the progress of its current boot.

In memory, bounded; `store.machines` keeps what must survive a restart. Decides nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Address
from itertools import chain
from typing import Final

from netboot.boot.firmware.reply_variants import BootTrace, Learned
from netboot.content.serving.pull_progress import PullProgress
from netboot.model.boot.boot_client import BootClient, Stage, arch_name
from netboot.model.boot.machine import Machine
from netboot.model.boot.offer import OfferKind
from netboot.model.host.firmware import BootVariant
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.model.install.install import Arming

UNREGISTERED_KEPT: Final = 1024  # unregistered machines; the one not seen for longest is forgotten
ADDRESSES: Final = 4  # of one machine: firmware, iPXE and installer may each get another lease
ANNOUNCED_S: Final = 900.0  # from a DISCOVER to its script; long enough for a slow loader by TFTP
SAME_BOOT_S: Final = 75.0  # firmware sends requests for at most 60 s, with pauses of up to 32
LOADER_RUNS_S: Final = 60.0  # after a loader's last request: an iPXE request within it is that loader's
SHORTEST_BOOT_S: Final = 3.0  # no machine fails, restarts and requests in less; such packets are tests or forged


@dataclass(slots=True)
class SeenMachine:
    """One MAC. Times ending in `_s` are on the monotonic clock."""

    machine: Machine
    announced_s: float | None = None  # last DISCOVER or 4011 request for a boot
    boot_began_s: float | None = None
    last_offer: OfferKind | None = None
    steps: set[Step] = field(default_factory=set)  # of the present boot
    took_installer: bool = False  # its present announcement was used for a boot into the installer
    pull: PullProgress | None = None
    pulled_s: float | None = None  # when it last requested an object of its release
    trace: BootTrace = field(default_factory=BootTrace)  # of the present boot
    ended: BootTrace | None = None  # the boot before, until it is judged
    learned: dict[str, Learned] = field(default_factory=dict)  # by `BootClient.firmware`
    exchange: int | None = None  # of its firmware's last DISCOVER
    elapsed: int = 0
    client: BootClient | None = None  # of its last request
    served: tuple[str, str | None] | None = None  # its script as it was last recorded in this boot: plan and reason
    arming: Arming | None = None  # at its last script
    held_back_by: str = ""  # why its script waits, as reported in this boot
    refused_because: str = ""  # why it gets no offer, as reported in this boot
    loader_shown_s: float | None = None  # its loader was sent completely, or requested the script

    @property
    def mac(self) -> Mac:
        return self.machine.mac

    def is_announced(self, now_s: float) -> bool:
        """Return whether it requested a boot recently."""
        return self.announced_s is not None and now_s - self.announced_s <= ANNOUNCED_S

    def runs_loader(self, now_s: float) -> bool:
        """Return whether an iPXE request now comes from the loader that it was given, not from its ROM."""
        return self.loader_shown_s is not None and now_s - self.loader_shown_s <= LOADER_RUNS_S

    def record_step(self, step: Step) -> bool:
        """Record a step; return False if this boot had it already."""
        if step in self.steps:
            return False
        self.steps.add(step)
        return True

    def begin_boot(self, now_s: float) -> None:
        """Forget the previous boot."""
        self.boot_began_s = now_s
        self.steps.clear()
        self.last_offer = None
        self.held_back_by = ""
        self.served = None
        self.refused_because = ""
        self.pull = None
        self.ended, self.trace = self.trace, BootTrace(began_s=now_s)

    def announce_by_request(self, now_s: float) -> None:
        """Treat a request for its script as its announcement, where no DHCP request is seen.

        After a pause it counts as another boot: a boot loader repeats its request within seconds.
        """
        if self.announced_s is None or now_s - self.announced_s > SAME_BOOT_S:
            self.begin_boot(now_s)
            self.took_installer = False
        self.announced_s = now_s

    def note_arming(self, arming: Arming | None) -> None:
        """Record the arming of its host; a new arming lets what it gets, or why it gets nothing, be reported again."""
        if (self.arming and self.arming.at) != (arming and arming.at):
            self.held_back_by, self.refused_because, self.served = "", "", None
        self.arming = arming

    def learned_of(self, client: BootClient) -> Learned:
        """Return what is known of this client's firmware: learned since the start, else stored."""
        learned = self.learned.get(client.firmware)
        if learned is None:
            learned = self.learned[client.firmware] = _recorded(self.machine.variants.get(client.firmware))
        return learned

    def learn(self, client: BootClient, learned: Learned) -> None:
        """Set what is known of that firmware."""
        self.learned[client.firmware] = learned

    def note_request(self, exchange: int) -> None:
        """Record its REQUEST; one outside the exchange of its firmware's DISCOVER is a running system's, or 4011's."""
        if exchange == self.exchange:
            self.trace.has_address = True

    def note_exchange(self, client: BootClient) -> bool:
        """Record a DISCOVER of its firmware; True where it begins a new exchange."""
        if client.stage is not Stage.FIRMWARE or client.exchange is None:
            return False
        is_new = self.exchange is not None and (client.exchange != self.exchange or client.elapsed < self.elapsed)
        self.exchange, self.elapsed = client.exchange, client.elapsed
        return is_new


class SeenMachines:
    """All seen machines, by MAC and by address."""

    def __init__(self, recorded: Mapping[Mac, Machine]) -> None:
        self._registered: dict[Mac, SeenMachine] = {}
        self._unregistered: OrderedDict[Mac, SeenMachine] = OrderedDict()  # a flood evicts only these
        self._is_registered: Callable[[Mac], bool] = lambda _mac: False
        self._by_address: dict[IPv4Address, Mac] = {}
        self._forgotten: Callable[[Mac], None] = lambda _mac: None
        for machine in recorded.values():  # all of them, until it is known who is registered
            self._unregistered[machine.mac] = SeenMachine(machine)
            for address in machine.addresses:
                if (before := self.by_address(address)) is not None:  # a record of an earlier version
                    self.take_address(before, address)
                self._by_address[address] = machine.mac

    def on_forgotten(self, forgotten: Callable[[Mac], None]) -> None:
        """Call this with each unregistered machine that is evicted."""
        self._forgotten = forgotten

    def get(self, mac: Mac) -> SeenMachine | None:
        """Find a machine by MAC."""
        return self._registered.get(mac) or self._unregistered.get(mac)

    def by_address(self, address: IPv4Address) -> SeenMachine | None:
        """Find the machine that last used this address."""
        mac = self._by_address.get(address)
        return self.get(mac) if mac else None

    def all(self) -> list[Machine]:
        """List every machine: registered ones first, of each group the one not seen for longest first."""
        return [seen.machine for seen in self.present()]

    def present(self) -> Iterator[SeenMachine]:
        """Iterate over every machine."""
        return chain(self._registered.values(), self._unregistered.values())

    def registered_are(self, is_registered: Callable[[Mac], bool]) -> None:
        """Use this test of a registered machine from now on."""
        self._is_registered = is_registered
        everybody = {**self._registered, **self._unregistered}
        self._registered = {mac: seen for mac, seen in everybody.items() if is_registered(mac)}
        self._unregistered = OrderedDict((mac, seen) for mac, seen in everybody.items() if not is_registered(mac))
        self._forget_unregistered()

    def of(self, mac: Mac, *, now: datetime) -> SeenMachine:
        """Find a machine, or add it."""
        return self.get(mac) or self._touch(mac, now)

    def announce(self, client: BootClient, *, now: datetime, now_s: float) -> SeenMachine:
        """Record a boot request; firmware that had gone on, paused or started a new exchange begins another boot."""
        seen = self._touch(client.mac, now)
        last_s, seen.announced_s = seen.announced_s, now_s
        seen.took_installer = False
        went_on = bool(seen.steps - {Step.OFFER, Step.LOCAL_BOOT})
        pause = last_s is None or now_s - last_s > SAME_BOOT_S
        is_anew = seen.note_exchange(client)
        if is_anew and last_s is not None and now_s - last_s < SHORTEST_BOOT_S:
            is_anew = False
            seen.trace.is_jumbled = True
        if seen.boot_began_s is None or pause or is_anew or (client.stage is Stage.FIRMWARE and went_on):
            seen.begin_boot(now_s)
            seen.machine = replace(seen.machine, last_seen=now)
        if client.stage is Stage.FIRMWARE and client.exchange is not None:
            seen.trace.note_discover(client.elapsed, now_s)
        if seen.client == client:
            return seen
        seen.client, machine = client, seen.machine
        known = (machine.arch, machine.vendor_class, machine.uuid)
        shown = (
            arch_name(client.arch),
            client.vendor_class,
            client.uuid.hex() if client.uuid else None,
        )
        if known != shown:
            seen.machine = replace(machine, last_seen=now, arch=shown[0], vendor_class=shown[1], uuid=shown[2])
        return seen

    def give_address(self, mac: Mac, address: IPv4Address, *, now: datetime) -> SeenMachine:
        """Record that this machine uses this address; another machine that had it loses it."""
        owner = self.by_address(address)
        if owner is not None and owner.mac != mac:
            self.take_address(owner, address)
        seen = self._touch(mac, now)
        if seen.machine.addresses[-1:] != (address,):
            others = tuple(a for a in seen.machine.addresses if a != address)
            for dropped in others[: -(ADDRESSES - 1)]:
                self._by_address.pop(dropped, None)
            seen.machine = replace(seen.machine, addresses=(*others[-(ADDRESSES - 1) :], address))
        self._by_address[address] = mac
        return seen

    def take_address(self, seen: SeenMachine, address: IPv4Address) -> Machine:
        """Remove an address from a machine, and return the machine for the store."""
        self._by_address.pop(address, None)
        seen.machine = replace(seen.machine, addresses=tuple(a for a in seen.machine.addresses if a != address))
        return seen.machine

    def _touch(self, mac: Mac, now: datetime) -> SeenMachine:
        seen = self.get(mac)
        if seen is None:
            return self._add(Machine(mac, first_seen=now, last_seen=now))
        if mac in self._unregistered:
            self._unregistered.move_to_end(mac)
        return seen

    def _add(self, machine: Machine) -> SeenMachine:
        group = self._registered if self._is_registered(machine.mac) else self._unregistered
        seen = group[machine.mac] = SeenMachine(machine)
        for address in machine.addresses:
            self._by_address[address] = machine.mac
        self._forget_unregistered()
        return seen

    def _forget_unregistered(self) -> None:
        while len(self._unregistered) > UNREGISTERED_KEPT:
            mac, forgotten = self._unregistered.popitem(last=False)
            self._forgotten(mac)
            for address in forgotten.machine.addresses:
                if self._by_address.get(address) == forgotten.mac:
                    del self._by_address[address]


def _recorded(text: str | None) -> Learned:
    if text is None:
        return Learned()
    try:
        return Learned(BootVariant.parse(text), is_verified=True)
    except ValueError:  # written by another version
        return Learned()
