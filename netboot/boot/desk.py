"""The desk: one method for each question that a machine asks before it holds a token.

Offers, loaders and content are answered from memory and never wait. A script may lead into an installer, so it asks
the store at that moment. What needs a token is asked at `boot.token_desk`.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address
from typing import Final, assert_never

import structlog

from netboot.boot import names, tokens
from netboot.boot.decide import decide, script_without_install
from netboot.boot.documents import Documents
from netboot.boot.installs import Cause, InstallBook
from netboot.boot.seen import SeenMachine, SeenMachines
from netboot.boot.shape_book import ShapeBook
from netboot.content.bootfiles import BootFile, BootFiles
from netboot.content.served import ServedFile
from netboot.errors import NetbootError, StoreError, TransitionError
from netboot.model.client import BootClient, Stage
from netboot.model.event import Event, Step
from netboot.model.firmware import RomIpxe
from netboot.model.host import Host, HostName, HostSet
from netboot.model.install import InstallEvent, InstallState
from netboot.model.mac import Mac
from netboot.model.offer import (
    DocumentKind,
    Ignored,
    InstallPlan,
    LocalBootPlan,
    MachineDocument,
    Offer,
    OfferKind,
    Policy,
    ScriptPlan,
    WaitPlan,
    WaitReason,
)
from netboot.model.release import ContentKind
from netboot.store.events import EventLog
from netboot.store.machines import Machine, Machines

log = structlog.get_logger()

PULLS_FOR_S: Final = 120.0  # a pull that asked for nothing this long has ended, or its machine has
TELL_STRANGERS: Final = 100  # as many newly discovered machines are told in each of these:
TELL_STRANGERS_EVERY_S: Final = 60.0

_STEP_OF_CONTENT: Final = {
    ContentKind.KERNEL: Step.KERNEL,
    ContentKind.INITRD: Step.INITRD,
    ContentKind.STAGE2: Step.STAGE2,
}


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, handed in: `now` is UTC, `monotonic` seconds."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    random_bytes: tokens.RandomBytes


class Desk:
    """Answers machines. `use` swaps what it answers from; everything else it owns for its life."""

    def __init__(
        self,
        *,
        book: InstallBook,
        events: EventLog,
        machines: Machines,
        seen: SeenMachines,
        clock: Clock,
    ) -> None:
        self.book = book
        self.events = events
        self.seen = seen
        self.clock = clock
        self._machines = machines
        seen.on_forgotten(machines.forget)
        self._strangers_told = 0
        self._strangers_told_since_s = -TELL_STRANGERS_EVERY_S
        self._shapes = ShapeBook(events, machines, now=clock.now)
        self._offered: set[HostName] = set()  # armed hosts whose offer is not on record yet
        self._has_offered = asyncio.Event()

    def use(self, hosts: HostSet, policy: Policy, *, documents: Documents, bootfiles: BootFiles) -> None:
        """Answer from these from now on, all at once."""
        self.hosts, self.policy, self.documents, self.bootfiles = hosts, policy, documents, bootfiles
        self.seen.registered_are(lambda mac: hosts.by_mac(mac) is not None)

    # What the wire asks and shows

    def offer_for(self, client: BootClient) -> Offer | Ignored:
        """Say what a machine is offered now; the same for 67 and 4011. Never waits."""
        host = self.hosts.by_mac(client.mac)
        install = self.book.known(host.name) if host else None
        client = self._as_firmware(client, host)
        seen = self._announce(client, host)
        shape = self._shapes.shape_for(seen, client, host, policy=self.policy, now_s=self.clock.monotonic())
        return decide(client, host, install, self.policy, shape=shape)

    def offered(self, client: BootClient, offer: Offer) -> None:
        """Take note of an offer that left."""
        seen = self.seen.get(client.mac) or self.seen.of(client.mac, now=self.clock.now())
        host = self.hosts.by_mac(client.mac)
        if offer.kind is OfferKind.LOADER and client.stage is not Stage.FIRMWARE:
            # whoever is given one is a firmware, an iPXE in a ROM too
            client = replace(client, stage=Stage.FIRMWARE)
        self._shapes.offered(seen, client, offer)
        if seen.last_offer is not offer.kind:
            seen.last_offer = offer.kind
            data = {"kind": offer.kind.value, "stage": client.stage.value, "boot_file": offer.boot_file or None}
            step = Step.LOCAL_BOOT if offer.kind is OfferKind.LOCAL_DISK else Step.OFFER
            self._tell("boot.offered", seen, host, step if seen.take_step(step) else None, **data)
        if host is None or offer.kind is OfferKind.LOCAL_DISK:
            return
        install = self.book.known(host.name)
        if install.is_armed and install.state is not InstallState.OFFERED:
            self._offered.add(host.name)
            self._has_offered.set()

    def saw_address(self, mac: Mac, address: IPv4Address) -> None:
        """Take note of an address that the wire showed for a machine: its REQUEST to a DHCP server, or its 4011."""
        known = self.seen.get(mac)
        if known is None and self.hosts.by_mac(mac) is None:
            return  # not a machine that boots from us
        if known is not None:
            known.asks_for_address(self.clock.monotonic())
        if known is None or known.machine.addresses[-1:] != (address,):
            self._machines.keep(self.seen.give_address(mac, address, now=self.clock.now()).machine)

    async def run(self) -> None:
        """Bring offers on record, behind; until cancelled."""
        while True:
            await self._has_offered.wait()
            self._has_offered.clear()
            while self._offered:
                host = self._offered.pop()
                try:
                    await self.book.move(host, InstallEvent.OFFER_SENT, cause=Cause())
                except TransitionError:
                    continue  # disarmed since
                except StoreError as error:
                    log.warning("store.offer_delayed", host=host, reason=str(error))

    # What a loader and its kernel fetch

    def loader_for(
        self, address: IPv4Address, name: str, *, mac: Mac | None = None
    ) -> BootFile | MachineDocument | None:
        """Find what a name is to the machine at this address: a network boot program, or a document of its own.

        `mac` is what the machine says it is, where its URL holds one. A program is harmless to any machine: what it
        loads next is asked about. A document is made by `document_for`.
        """
        seen, _host = self._machine_at(address)
        document = names.document_named(name)
        if document is not None:
            kind, named = document
            return MachineDocument(kind, mac or self._asking(named, address) or (seen.mac if seen else None))
        file = names.find_loader(self.bootfiles, name)
        if seen is not None:
            seen.trace.asked_for(name, file)
        return file

    async def document_for(
        self, document: MachineDocument, address: IPv4Address, *, base_url: str, is_look: bool = False
    ) -> str | None:
        """Write what `loader_for` found; None where nobody knows whose it is. Raises RenderError.

        `base_url` is this server as the machine reaches it. `is_look` (a HEAD) moves nothing.
        """
        match document.kind:
            case DocumentKind.IPXE_AUTOEXEC:
                return self.documents.autoexec(document.mac, base_url=base_url)
            case DocumentKind.GRUB_CONFIG:
                if document.mac is None:
                    return None
                plan = await self.script_for(document.mac, address, is_look=is_look)
                return self.documents.grub(plan, base_url=base_url)
            case _:
                assert_never(document.kind)

    def _asking(self, named: Mac | None, address: IPv4Address) -> Mac | None:
        """Take the MAC in a name, unless the wire shows another machine at the address that asks."""
        seen = self.seen.by_address(address)
        host = self.hosts.by_mac(named) if named else None
        is_another = seen is not None and seen.mac != named and (host is None or seen.mac not in host.macs)
        return None if is_another else named

    def loader_sent(
        self, address: IPv4Address, name: str, *, bytes_sent: int, seconds: float, retransmissions: int, outcome: str
    ) -> None:
        """Take note of how a transfer of a network boot program ended, by TFTP or HTTP."""
        seen, host = self._machine_at(address)
        if seen is None or outcome not in ("sent", "unconfirmed", "closed") or names.document_named(name) is not None:
            return
        seen.trace.got(name)
        if seen.trace.got_loader:
            seen.loader_shown_s = self.clock.monotonic()
        if seen.take_step(Step.LOADER):
            told = {"bytes": bytes_sent, "seconds": round(seconds, 3), "retransmissions": retransmissions}
            self._tell("boot.loader_sent", seen, host, Step.LOADER, name=name, outcome=outcome, **told)

    def content_served(self, address: IPv4Address, file: ServedFile, bytes_sent: int) -> None:
        """Take note of what a machine got of kernel, initrd, stage 2 or its OSTree release."""
        seen, host = self._machine_at(address)
        if seen is None:
            return
        step = _STEP_OF_CONTENT.get(file.kind)
        if step is not None:
            if bytes_sent >= file.size_bytes and seen.take_step(step):
                self._tell("boot.content_sent", seen, host, step, name=file.member, bytes=bytes_sent)
        elif file.kind is ContentKind.OSTREE_OBJECT:
            self._pulled(seen, host, file)

    def _pulled(self, seen: SeenMachine, host: Host | None, file: ServedFile) -> None:
        pull = seen.pull
        if pull is None or pull.release.name != file.owner:
            pull = seen.pull = self.documents.progress_of(file.owner)
            if pull is None:
                return
        seen.pulled_s = self.clock.monotonic()
        before, percent = pull.percent, pull.asked(file.member, file.size_bytes)
        if percent // 5 > before // 5:
            self._tell("boot.content_pulled", seen, host, Step.OSTREE, release=file.owner, percent=percent)

    # The script

    async def script_for(self, mac: Mac, address: IPv4Address, *, is_look: bool = False) -> ScriptPlan:
        """Say what a machine's script does now; spends a boot into the installer where it leads there.

        Only a machine that announced itself on the wire lately, and asks from its own address, moves anything.
        `is_look` (a HEAD) moves nothing.
        """
        host = self.hosts.by_mac(mac)
        seen = self.seen.get(mac)
        if seen is not None and not is_look:
            self._shapes.reached_script(seen, host, self.policy)
            if seen.loader_shown_s is not None:
                seen.loader_shown_s = self.clock.monotonic()
        try:
            install = await self.book.ask(host.name) if host else None
            plan: ScriptPlan | None = script_without_install(mac, host, install, self.policy)
            if plan is None:
                assert host is not None
                plan = WaitPlan(mac, WaitReason.NOT_ANNOUNCED, host)
                if not is_look and self._has_announced(mac, host, address):
                    plan = await self._installer_for(mac, host)
        except StoreError as error:
            log.error("boot.script_held_back", host=host and host.name, mac=mac, reason=str(error))
            plan = WaitPlan(mac, WaitReason.STORE_UNREACHABLE, host)
        self._tell_script(mac, address, plan)
        return plan

    def _has_announced(self, mac: Mac, host: Host, address: IPv4Address) -> bool:
        seen = self.seen.get(mac)
        return seen is not None and seen.is_announced(self.clock.monotonic()) and self.is_at(host, address)

    async def _installer_for(self, mac: Mac, host: Host) -> ScriptPlan:
        seen = self.seen.of(mac, now=self.clock.now())
        problems = await self.documents.problems(host)
        if problems:
            self._tell_not_ready(seen, host, problems[0])
            return WaitPlan(mac, WaitReason.NOT_READY, host)
        self._offered.discard(host.name)  # what follows says more
        install = self.book.known(host.name)
        if seen.took_installer and install.is_armed and install.tokens.kickstart:
            return InstallPlan(host, install.tokens.kickstart, mac)  # the same boot asks again
        cause = Cause(mac)
        if install.arming is not None and install.arming.is_spent:
            await self.book.move(host.name, InstallEvent.ATTEMPTS_SPENT, cause=cause)
            return LocalBootPlan(mac, host)
        await self._machines.flush()  # a daemon that is killed now still knows whose address this is
        try:
            install = await self.book.boot_the_installer(host.name, tokens.draw(self.clock.random_bytes), cause=cause)
        except TransitionError:
            return LocalBootPlan(mac, host)  # disarmed between the question and the move
        seen.took_installer = True
        return InstallPlan(host, install.tokens.kickstart, mac)

    # Who is who

    def is_at(self, host: Host, address: IPv4Address) -> bool:
        """Tell whether an address is this host's: the registry gives it, or the wire showed it for one of its cards."""
        if address in host.addresses:
            return True
        seen = self.seen.by_address(address)
        return seen is not None and seen.mac in host.macs

    def pulls(self) -> list[str]:
        """Name the releases that machines pull now: what they asked for must not go."""
        since_s = self.clock.monotonic() - PULLS_FOR_S
        pulling = [seen.pull for seen in self.seen.present() if seen.pulled_s is not None and seen.pulled_s >= since_s]
        return sorted({pull.release.name for pull in pulling if pull is not None and pull.percent < 100})

    def discovered(self) -> list[Machine]:
        """List the machines that asked for a boot and that nobody registered."""
        return [machine for machine in self.seen.all() if machine.arch and self.hosts.by_mac(machine.mac) is None]

    def _machine_at(self, address: IPv4Address) -> tuple[SeenMachine | None, Host | None]:
        seen = self.seen.by_address(address)
        if seen is not None:
            return seen, self.hosts.by_mac(seen.mac)
        host = self.hosts.by_address(address)
        return (self.seen.of(host.mac, now=self.clock.now()), host) if host else (None, None)

    def _as_firmware(self, client: BootClient, host: Host | None) -> BootClient:
        """Take an iPXE for a firmware where it is the one in a ROM that the host does not keep."""
        if client.stage is not Stage.IPXE or host is None or host.rom_ipxe is not RomIpxe.REPLACE:
            return client
        seen = self.seen.get(client.mac)
        is_loader = seen is not None and seen.runs_loader(self.clock.monotonic())
        return client if is_loader else replace(client, stage=Stage.FIRMWARE)

    def _announce(self, client: BootClient, host: Host | None) -> SeenMachine:
        known = self.seen.get(client.mac)
        before = known and known.machine
        seen = self.seen.announce(client, now=self.clock.now(), now_s=self.clock.monotonic())
        if seen.machine is not before:
            self._machines.keep(seen.machine)
        if known is None and host is None and self._may_tell_of_stranger():
            self._tell(
                "boot.machine_discovered", seen, None, None, arch=seen.machine.arch, vendor_class=client.vendor_class
            )
        return seen

    def _may_tell_of_stranger(self) -> bool:
        """Hold the ledger against a flood of forged MACs: each is an event only while they are few."""
        now_s = self.clock.monotonic()
        if now_s - self._strangers_told_since_s >= TELL_STRANGERS_EVERY_S:
            self._strangers_told, self._strangers_told_since_s = 0, now_s
        self._strangers_told += 1
        return self._strangers_told <= TELL_STRANGERS

    # What is told

    def _tell_script(self, mac: Mac, address: IPv4Address, plan: ScriptPlan) -> None:
        seen = self.seen.get(mac)
        if seen is None:
            return
        match plan:
            case InstallPlan(host=host):
                self._tell("boot.script_served", seen, host, Step.SCRIPT, plan="install", address=str(address))
            case LocalBootPlan(host=host):
                step = Step.LOCAL_BOOT if seen.take_step(Step.LOCAL_BOOT) else None
                self._tell("boot.script_served", seen, host, step, plan="local-disk", address=str(address))
            case WaitPlan(host=host, reason=reason):
                if seen.take_step(Step.SCRIPT):  # it asks every few seconds
                    self._tell("boot.script_served", seen, host, None, plan="wait", reason=reason.value)

    def _tell_not_ready(self, seen: SeenMachine, host: Host, error: NetbootError) -> None:
        data = {"reason": str(error)}
        event = Event("boot.script_held_back", self.clock.now(), host.name, seen.mac, None, data)
        self.events.record(event, level=logging.ERROR)

    def _tell(
        self, event: str, seen: SeenMachine, host: Host | None, step: Step | None, **data: str | int | float | None
    ) -> None:
        self.events.record(Event(event, self.clock.now(), host.name if host else None, seen.mac, step, data))
