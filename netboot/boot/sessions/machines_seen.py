"""Each machine as its packets showed it: announcement (its last DHCP boot request), addresses, progress of its boot.

In memory, bounded; `store.machines` keeps what must survive a restart. Decides nothing.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from itertools import chain
from typing import Final

from netboot.boot.firmware.learning_states import Learned, LearningState
from netboot.boot.firmware.reply_variants import BootTrace
from netboot.boot.sessions.boot_recorder import BootRecorder
from netboot.content.serving.pull_progress import PullProgress
from netboot.model.boot.boot_client import ADDRESSES, BootClient, Machine, Stage, arch_name
from netboot.model.boot.boot_progress import RunningTransfer
from netboot.model.boot.boot_record import BootStep
from netboot.model.boot.machine_facts import Facts
from netboot.model.boot.offer import OfferKind, OncePlan
from netboot.model.clock import Clock
from netboot.model.host.firmware import BootVariant
from netboot.model.host.host import HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.model.install.install import Arming
from netboot.model.install.machine_identity import KnownIdentity, ServedBoot
from netboot.store.machines import Machines

UNREGISTERED_KEPT: Final = 1024  # unregistered machines; the one that was not seen for the longest time is removed
ANNOUNCED_S: Final = 900.0  # from a DISCOVER to its script; long enough for a slow loader by TFTP
SAME_BOOT_S: Final = 75.0  # firmware sends requests for at most 60 s, with pauses of up to 32
LOADER_RUNS_S: Final = 60.0  # after a loader's last request: an iPXE request within it is that loader's
MOST_PROBLEMS: Final = 16  # of one boot, recorded
OTHER_SERVERS: Final = 4  # whose offers are recorded in one boot
SHORTEST_BOOT_S: Final = 3.0  # no machine fails, restarts and requests again so soon: a test, or forged


@dataclass(slots=True)
class BootSession:
    """The running boot of one machine: its steps, and what was reported about it. Replaced at the next boot."""

    trace: BootTrace = field(default_factory=BootTrace)
    client: BootClient | None = None  # of its first DISCOVER: its firmware, or an iPXE in its ROM
    is_led_to_disk: bool = False
    began_at: datetime | None = None  # as `trace.began_s`, when its first record was written
    steps: set[Step] = field(default_factory=set)
    last_offer: OfferKind | None = None
    pull: PullProgress | None = None
    pull_began_s: float = 0.0
    pulled_s: float = 0.0  # when it last requested an object of its release
    pulled_before: BootStep | None = None  # what it had pulled before a restart of the daemon
    transfer: RunningTransfer | None = None  # of a file that is sent now
    served: tuple[str, str | None] | None = None  # its script as it was last recorded: plan and reason
    held_back_by: str = ""  # why its script waits, as reported
    refused_because: str = ""  # why it gets no offer, as reported
    problems: Counter[str] = field(default_factory=Counter)  # what failed in it, as reported
    other_servers: set[IPv4Address] = field(default_factory=set)  # that offered it another boot, as reported

    def record_step(self, step: Step) -> Step | None:
        """Record a step, and return it; None if this boot had it already."""
        if step in self.steps:
            return None
        self.steps.add(step)
        return step

    def note_problem(self, problem: str, *, most: int = 1) -> bool:
        """Record that something failed in this boot; True if it is to be reported, at most so many times."""
        if self.problems[problem] >= most or self.problems.total() >= MOST_PROBLEMS:
            return False
        self.problems[problem] += 1
        return True

    def note_other_server(self, server: IPv4Address) -> bool:
        """Record that another server offered it a boot; return whether that is to be reported."""
        if server in self.other_servers or len(self.other_servers) >= OTHER_SERVERS:
            return False
        self.other_servers.add(server)
        return True


_STEPS_BEFORE_LOADER: Final = frozenset({Step.OFFER, Step.PXE_REQUEST, Step.LOCAL_BOOT})


@dataclass(slots=True)
class SeenMachine:
    """One MAC on the wire. Times ending in `_s` are on the monotonic clock."""

    machine: Machine
    boot: BootSession = field(default_factory=BootSession)
    ended: BootTrace | None = None  # of the boot before, if it was offered anything, until it is evaluated
    learned: dict[str, Learned] = field(default_factory=dict)  # by `BootClient.firmware`
    announced_s: float | None = None  # last DISCOVER or 4011 request for a boot
    announced_elsewhere_s: float | None = None  # the same, of another appliance on the store
    served_token: str = field(default="", repr=False)  # of the installer's script that its present announcement led to
    served_boot: ServedBoot | None = None  # the last one that this appliance served the installer
    once: OncePlan | None = field(default=None, repr=False)  # what it was used for instead; holds a token
    exchange: int | None = None  # of its firmware's last DISCOVER
    elapsed: int = 0
    requested: int | None = None  # the exchange of its last DISCOVER for a boot, also of its loader
    arming: Arming | None = None  # at its last script
    loader_shown_s: float | None = None  # its loader was sent completely, or requested the script
    at_the_script: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False, compare=False)  # while unregistered

    @property
    def mac(self) -> Mac:
        return self.machine.mac

    def is_announced(self, now_s: float) -> bool:
        """Return whether it requested a boot recently, of this or of another appliance on the store."""
        times_s = (self.announced_s, self.announced_elsewhere_s)
        return any(at_s is not None and now_s - at_s <= ANNOUNCED_S for at_s in times_s)

    def is_in_boot_of(self, known: KnownIdentity, clock: Clock) -> bool:
        """Return whether it got the installer's script in its present boot, also of another appliance on the store.

        Both received the same DISCOVER, and none since. Some firmware has one exchange id in all its boots, so the
        times count too; the clocks of the appliances may differ less than a machine takes to restart. Of a boot that
        this appliance served, `served_token` is right.
        """
        boot, served, announced_s = known.boot, known.served, self.announced_s
        if boot is None or boot == self.served_boot or served is None or served.mac != self.mac or announced_s is None:
            return False
        ago = clock.now() - timedelta(seconds=clock.monotonic() - announced_s) - boot.at
        return self.requested == boot.exchange and ago < timedelta(seconds=SHORTEST_BOOT_S)

    def runs_loader(self, now_s: float) -> bool:
        """Return whether an iPXE request now comes from the loader that it got from us, not from its ROM."""
        return self.loader_shown_s is not None and now_s - self.loader_shown_s <= LOADER_RUNS_S

    def announce_by_request(self, now_s: float) -> None:
        """Treat a request for its script as its announcement; used if no DHCP requests are received.

        After a pause it begins another boot: within one boot, a boot loader repeats its request within seconds.
        """
        if self.announced_s is None or now_s - self.announced_s > SAME_BOOT_S:
            self._begin_boot(now_s)
            self.served_token, self.once = "", None
        self.announced_s = now_s

    def announce(self, client: BootClient, now_s: float) -> bool:
        """Record a boot request. Firmware that had continued, paused or begun a new exchange begins another boot.

        True if it does.
        """
        is_firmware = client.stage is Stage.FIRMWARE
        is_other = client.exchange is not None and client.exchange != self.requested
        self.requested = client.exchange if client.exchange is not None else self.requested
        last_s, self.announced_s = self.announced_s, now_s
        self.served_token = ""
        self.once = None
        went_on = is_firmware and not self.boot.steps <= _STEPS_BEFORE_LOADER
        # an iPXE in a ROM that comes back after its script led it to the disk
        is_back = not is_firmware and is_other and self.boot.served is not None
        went_on = went_on or (is_back and Step.LOCAL_BOOT in self.boot.steps)
        pause = last_s is None or now_s - last_s > SAME_BOOT_S
        is_anew = is_firmware and client.exchange is not None and self._note_exchange(client.exchange, client.elapsed)
        if is_anew and last_s is not None and now_s - last_s < SHORTEST_BOOT_S:
            is_anew = False
            self.boot.trace.is_jumbled = True
        begins = pause or is_anew or went_on
        if begins:
            self._begin_boot(now_s)
        self.boot.client = self.boot.client or client
        if is_firmware and client.exchange is not None:
            self.boot.trace.note_discover(client.elapsed, now_s)
        return begins

    def note_announced_elsewhere(self, now_s: float, ago_s: float) -> None:
        """Record that it requested a boot so long ago, of another appliance on the store."""
        self.announced_elsewhere_s = now_s - max(ago_s, 0.0)

    def _begin_boot(self, now_s: float) -> None:
        before, self.boot = self.boot.trace, BootSession(BootTrace(began_s=now_s))
        self.ended = before if before.client is not None else None

    def _note_exchange(self, exchange: int, elapsed: int) -> bool:
        """Record a DISCOVER of its firmware; True if it begins a new exchange."""
        is_new = self.exchange is not None and (exchange != self.exchange or elapsed < self.elapsed)
        self.exchange, self.elapsed = exchange, elapsed
        return is_new

    def note_arming(self, arming: Arming | None) -> None:
        """Record the arming of its host; after a new one, what it gets, or why it gets nothing, is reported again."""
        if (self.arming and self.arming.at) != (arming and arming.at):
            self.boot.held_back_by, self.boot.refused_because, self.boot.served = "", "", None
        self.arming = arming

    def note_request(self, exchange: int) -> None:
        """Record its REQUEST; one outside the exchange of its firmware's DISCOVER is a running system's, or 4011's."""
        if exchange == self.exchange:
            self.boot.trace.has_address = True

    def learned_of(self, client: BootClient) -> Learned:
        """Return what is known of this client's firmware: learned since the start, else stored."""
        if not self.learned and not self.machine.variants:
            return _NOTHING_LEARNED
        firmware = client.firmware
        return self.learned.get(firmware) or _recorded(self.machine.variants.get(firmware))


_NOTHING_LEARNED: Final = Learned()


class SeenMachines:
    """All seen machines, by MAC and by address."""

    def __init__(
        self,
        recorded: Mapping[Mac, Machine],
        *,
        store: Machines,
        recorder: BootRecorder,
        hosts: Callable[[], HostSet],
        clock: Clock,
    ) -> None:
        self._store, self._recorder = store, recorder
        self._hosts = hosts
        self._clock = clock
        self._grouped_for = hosts()
        self._registered: dict[Mac, SeenMachine] = {}
        self._unregistered: OrderedDict[Mac, SeenMachine] = OrderedDict()  # a flood removes only these
        self._by_address: dict[IPv4Address, Mac] = {}
        for machine in recorded.values():
            self._add(machine)
            for address in machine.addresses:
                if (before := self.by_address(address)) is not None:  # a record of an earlier version
                    self._take_address(before, address)
                self._by_address[address] = machine.mac

    def resume(self) -> None:
        """Continue the boots that ran before a restart: none of their steps is recorded again."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        for boot in self._recorder.running(now):
            if (seen := self.get(boot.mac)) is not None:
                seen.boot = BootSession(BootTrace(began_s=now_s - (now - boot.began_at).total_seconds()))
                seen.boot.steps.update(each.step for each in boot.steps)
                seen.boot.pulled_before = boot.step(Step.OSTREE)

    def record_step(self, seen: SeenMachine, step: Step) -> Step | None:
        """Record a step of a machine's boot, and return it; None if it was repeated, which is counted."""
        if (recorded := seen.boot.record_step(step)) is None:
            self.count_retry(seen, step)
        return recorded

    def count_retry(self, seen: SeenMachine, step: Step) -> None:
        """Count a repeated request or packet of a machine in a step of its boot."""
        host = self._hosts().by_mac(seen.mac)
        self._recorder.count_retry(host.name if host is not None else None, seen.mac, step, at=self._clock.now())

    def get(self, mac: Mac) -> SeenMachine | None:
        """Find a machine by MAC."""
        return self._registered.get(mac) or self._unregistered.get(mac)

    def machine_of(self, mac: Mac) -> Machine | None:
        """Return what is known of a machine."""
        seen = self.get(mac)
        return None if seen is None else seen.machine

    def by_address(self, address: IPv4Address) -> SeenMachine | None:
        """Find the machine that last used this address."""
        mac = self._by_address.get(address)
        return self.get(mac) if mac else None

    def __iter__(self) -> Iterator[SeenMachine]:
        """Iterate over registered machines, then over the others, the longest unseen first."""
        return chain(self._registered.values(), self._unregistered.values())

    def unregistered(self) -> list[Machine]:
        """List the unregistered machines that requested a boot."""
        hosts = self._hosts()
        return [seen.machine for seen in self if seen.machine.arch and hosts.by_mac(seen.mac) is None]

    def find_or_add(self, mac: Mac) -> SeenMachine:
        """Find a machine, or add it; it was seen now."""
        if (seen := self._find(mac)) is not None:
            return seen
        now = self._clock.now()
        return self._add(Machine(mac, first_seen=now, last_seen=now))

    def _find(self, mac: Mac) -> SeenMachine | None:
        if (seen := self._registered.get(mac)) is not None:
            return seen
        if (seen := self._unregistered.get(mac)) is not None:
            self._unregistered.move_to_end(mac)
        return seen

    def announce(self, client: BootClient, now_s: float) -> SeenMachine:
        """Record a boot request, and store what it shows of the machine."""
        shown = (arch_name(client.arch), client.vendor_class, client.uuid.hex() if client.uuid else None)
        seen = self._find(client.mac)
        if seen is None:
            now = self._clock.now()
            seen = self._add(Machine(client.mac, now, now, *shown, first_path=client.path, last_path=client.path))
            seen.announce(client, now_s)
            self._store.keep(seen.machine)
            return seen
        machine, path = seen.machine, client.path or seen.machine.last_path
        known = (machine.arch, machine.vendor_class, machine.uuid)
        if seen.announce(client, now_s) or shown != known or path != machine.last_path:
            arch, vendor_class, uuid = shown
            changed = replace(machine, arch=arch, vendor_class=vendor_class, uuid=uuid, last_path=path)
            changed.last_seen, changed.first_path = self._clock.now(), machine.first_path or path
            self.keep(seen, changed)
        return seen

    def record_facts(self, seen: SeenMachine, facts: Facts) -> None:
        """Record what a machine reports of itself; a request that reports nothing changes nothing."""
        if facts and facts != seen.machine.facts:
            self.keep(seen, replace(seen.machine, facts=facts))

    def give_address(self, mac: Mac, address: IPv4Address) -> None:
        """Record that this machine uses this address; another machine that had it loses it."""
        owner = self.by_address(address)
        if owner is not None and owner.mac != mac:  # without this it would get the address back after a restart
            self._take_address(owner, address)
        seen = self.find_or_add(mac)
        if seen.machine.addresses[-1:] != (address,):
            others = tuple(each for each in seen.machine.addresses if each != address)
            for dropped in others[: -(ADDRESSES - 1)]:
                self._by_address.pop(dropped, None)
            self.keep(seen, replace(seen.machine, addresses=(*others[-(ADDRESSES - 1) :], address)))
        self._by_address[address] = mac

    def free_address(self, address: IPv4Address) -> None:
        """Record that no machine that boots from us uses this address."""
        if (owner := self.by_address(address)) is not None:
            self._take_address(owner, address)

    def keep(self, seen: SeenMachine, machine: Machine) -> None:
        """Change the record of a machine, and store it."""
        before, seen.machine = seen.machine, machine
        self._store.keep(machine, before)

    async def read_changed(self, macs: Collection[str] | None) -> None:
        """Take what another appliance stored of machines, None: of all; raise StoreError."""
        for machine in await self._store.changed(macs):
            self._follow(machine)

    def _follow(self, machine: Machine) -> None:
        """Take a machine as it is stored: its addresses, what was learned, and whether it requested a boot lately."""
        seen = self.get(machine.mac) or self._add(Machine(machine.mac, machine.first_seen, machine.last_seen))
        known, seen.machine = seen.machine, machine
        if machine == known:
            return
        for address in {*known.addresses} - {*machine.addresses}:
            if self._by_address.get(address) == machine.mac:
                del self._by_address[address]
        for address in (each for each in machine.addresses if each not in known.addresses):
            if (owner := self.by_address(address)) is not None and owner is not seen:
                self._take_address(owner, address)
            self._by_address[address] = machine.mac
        for firmware in {*known.variants, *machine.variants}:
            if known.variants.get(firmware) != machine.variants.get(firmware):
                seen.learned.pop(firmware, None)
        if machine.arch is not None:
            seen.note_announced_elsewhere(
                self._clock.monotonic(), (self._clock.now() - machine.last_seen).total_seconds()
            )

    def _take_address(self, seen: SeenMachine, address: IPv4Address) -> None:
        self._by_address.pop(address, None)
        others = tuple(each for each in seen.machine.addresses if each != address)
        self.keep(seen, replace(seen.machine, addresses=others))

    def _add(self, machine: Machine) -> SeenMachine:
        if (hosts := self._hosts()) is not self._grouped_for:
            self._regroup(hosts)
        seen = SeenMachine(machine)
        if hosts.by_mac(machine.mac):
            self._registered[machine.mac] = seen
        else:
            self._unregistered[machine.mac] = seen
            self._forget_unregistered()
        return seen

    def _regroup(self, hosts: HostSet) -> None:
        seen, self._grouped_for = {each.mac: each for each in self}, hosts
        self._registered = {mac: each for mac, each in seen.items() if hosts.by_mac(mac)}
        self._unregistered = OrderedDict((mac, each) for mac, each in seen.items() if not hosts.by_mac(mac))

    def _forget_unregistered(self) -> None:
        while len(self._unregistered) > UNREGISTERED_KEPT:
            mac, forgotten = self._unregistered.popitem(last=False)
            self._store.forget(mac)
            for address in forgotten.machine.addresses:
                if self._by_address.get(address) == mac:
                    del self._by_address[address]


def _recorded(text: str | None) -> Learned:
    if text is None:
        return _NOTHING_LEARNED
    try:
        return Learned(LearningState.VERIFIED, BootVariant.parse(text))
    except ValueError:  # written by another version
        return Learned()
