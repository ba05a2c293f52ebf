"""A machine's script, the only answer that may lead into an installer, and the state that the boot services share.

Each script request reads the store; nothing that can wipe a disk is answered from memory. `boot.offers` answers DHCP,
`boot.named_files` requests by name, `boot.token_documents` requests with a token.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from ipaddress import IPv4Address

import structlog

from netboot.boot.decide import script_without_install
from netboot.boot.documents import Documents
from netboot.boot.firmware import loader_choice as loaders
from netboot.boot.install_moves import Cause, HostChangedError, InstallMoves
from netboot.boot.learning import VariantLearning
from netboot.boot.machines_seen import SeenMachine, SeenMachines
from netboot.boot.scripts import Script, ScriptWriter
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import ContentError, NetbootError, RenderError, StoreError, TransitionError
from netboot.events.event_log import EventLog
from netboot.model.boot.machine import Machine
from netboot.model.boot.offer import (
    InstallPlan,
    LocalBootPlan,
    Policy,
    ScriptLanguage,
    ScriptPlan,
    WaitPlan,
    WaitReason,
)
from netboot.model.boot.reasons import RequestRefusal
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.model.install.install import InstallEvent, InstallState, InstallTarget
from netboot.model.install.token import draw
from netboot.store.machines import Machines

log = structlog.get_logger()


class ScriptService:
    """Answers requests for scripts. `use` swaps what all boot services answer from."""

    def __init__(
        self, *, install_moves: InstallMoves, events: EventLog, machines: Machines, seen: SeenMachines, clock: Clock
    ) -> None:
        self.install_moves = install_moves
        self.events = events
        self.machines = machines
        self.seen = seen
        self.clock = clock
        self.variants = VariantLearning(events, machines, now=clock.now)
        seen.on_forgotten(machines.forget)
        self._at_the_script: defaultdict[HostName, asyncio.Lock] = defaultdict(asyncio.Lock)

    def use(self, hosts: HostSet, policy: Policy, *, documents: Documents, bootfiles: BootFiles) -> None:
        """Answer from these from now on, all at once."""
        self.hosts, self.policy, self.documents, self.bootfiles = hosts, policy, documents, bootfiles
        self.install_moves.use(hosts, documents.commit_of)
        self.seen.registered_are(lambda mac: hosts.by_mac(mac) is not None)

    def renew_boot_files(self) -> bool:
        """Read the boot files anew where a name came or went; True where one did. For a request that needs it now."""
        if not self.bootfiles.is_outdated():
            return False
        self.use_boot_files(BootFiles(self.bootfiles.directories))
        return True

    def use_boot_files(self, bootfiles: BootFiles) -> None:
        """Serve and offer these boot files from now on."""
        before = self.policy
        self.bootfiles, self.policy = bootfiles, loaders.renewed(before, self.hosts, bootfiles)
        if self.policy != before:
            chosen = {f"{protocol}/{cpu}": name for (protocol, cpu), name in self.policy.loaders.items()}
            log.info("bootfiles.loaders_changed", loaders=chosen)

    # Machines and addresses

    def is_at(self, host: Host, address: IPv4Address) -> bool:
        """Return whether an address is this host's: registered, or seen in a packet of one of its network cards."""
        if address in host.addresses:
            return True
        seen = self.seen.by_address(address)
        return seen is not None and seen.mac in host.macs

    def is_target_at(self, target: InstallTarget | None, address: IPv4Address) -> bool:
        """Return whether an address is of the machine that an arming was for, whatever the hosts files say now."""
        if target is None:
            return False
        seen = self.seen.by_address(address)
        return address in target.addresses or (seen is not None and seen.mac in target.macs)

    def machine_at(self, address: IPv4Address) -> tuple[SeenMachine | None, Host | None]:
        """Find the machine at an address, and its host where it is registered.

        A registered address belongs to its host, whichever machine uses it.
        """
        seen = self.seen.by_address(address)
        host = self.hosts.by_mac(seen.mac) if seen is not None else None
        owner = self.hosts.by_address(address)
        if host is None and owner is not None:
            return self._last_announced(owner), owner
        return seen, host

    def requester(self, mac: Mac, host: Host | None, address: IPv4Address) -> SeenMachine | None:
        """Find the machine with this MAC if a request from this address is its own; None: another may have sent it.

        Only a machine that is found here may change state. `host` is the registered host of `mac`.
        """
        if host is not None:
            return self.seen.of(mac, now=self.clock.now()) if self.is_at(host, address) else None
        seen = self.seen.by_address(address)
        return seen if seen is not None and seen.mac == mac and self.hosts.by_address(address) is None else None

    def _last_announced(self, host: Host) -> SeenMachine:
        """Find the card of a host that requested a boot last."""
        known = [seen for mac in host.macs if (seen := self.seen.get(mac)) is not None and seen.announced_s is not None]
        found = max(known, key=lambda seen: seen.announced_s or 0.0, default=None)
        return found or self.seen.of(host.mac, now=self.clock.now())

    def discovered(self) -> list[Machine]:
        """List the unregistered machines that requested a boot."""
        return [machine for machine in self.seen.all() if machine.arch and self.hosts.by_mac(machine.mac) is None]

    def emit(
        self,
        event: str,
        seen: SeenMachine | None,
        host: Host | None,
        data: Mapping[str, str | int | float | None],
        *,
        step: Step | None = None,
        level: int = logging.INFO,
    ) -> None:
        """Emit what a machine did or got, as an event."""
        name, mac = host.name if host else None, seen.mac if seen else None
        happened = Event(event, self.clock.now(), name, mac, step, data)
        self.events.record(happened, level=level)

    # The script

    async def script(
        self, mac: Mac, address: IPv4Address, language: ScriptLanguage, *, base_url: str, is_head: bool = False
    ) -> Script:
        """Write a machine's script for now; one that leads into the installer spends a boot of the arming.

        Only a request from the machine's own address changes anything, and only a machine that announced
        itself by DHCP recently gets the installer. `is_head`: a HEAD changes nothing. Never fails: where a template
        or the store does, the script waits.
        """
        host = self.hosts.by_mac(mac)
        writer = ScriptWriter(self.documents, language, base_url)
        requester = self.requester(mac, host, address)
        machine = None if is_head else requester
        if machine is not None:
            if self.policy.address_announces and host is not None and address in host.addresses:
                machine.announce_by_request(self.clock.monotonic())
            self._note_script_request(machine, host)
        try:
            install = await self.install_moves.read(host.name) if host else None
            if machine is not None and install is not None:
                machine.note_arming(install.arming)
            plan = script_without_install(mac, host, install, self.policy)
            if plan is not None:
                script = writer.write(plan)
            elif machine is not None and host is not None and machine.is_announced(self.clock.monotonic()):
                script = await self._installer_for(machine, host, writer)
            else:
                script = writer.write(WaitPlan(mac, WaitReason.NOT_ANNOUNCED, host))
        except StoreError as error:
            script = writer.write_waiting(WaitPlan(mac, WaitReason.STORE_UNREACHABLE, host), error)
        if requester is None:
            self._record_refused(mac, host, address, plan=script.plan)
        if machine is not None:
            if script.fault is not None:
                self._emit_not_ready(machine, host, script.fault)
            self._emit_script(machine, address, script.plan)
        return script

    def _note_script_request(self, machine: SeenMachine, host: Host | None) -> None:
        self.variants.reached_script(machine, host, self.policy)
        if machine.loader_shown_s is not None:
            machine.loader_shown_s = self.clock.monotonic()

    def _record_refused(self, mac: Mac, host: Host | None, address: IPv4Address, *, plan: ScriptPlan) -> None:
        """Record that a script was requested from an address that is not its machine's."""
        has_no_address = self.policy.address_announces and host is not None and not host.addresses
        reason = (RequestRefusal.NO_ADDRESS if has_no_address else RequestRefusal.OTHER_ADDRESS).value
        if host is None and self.seen.get(mac) is None:  # no machine has this MAC
            log.debug("boot.request_ignored", mac=mac, address=str(address), reason=reason)
            return
        waits = plan.reason.value if isinstance(plan, WaitPlan) else None
        data = {"request": "script", "address": str(address), "reason": reason, "waits": waits}
        name = host.name if host else None
        self.events.record(
            Event("boot.request_refused", self.clock.now(), name, mac, None, data), level=logging.WARNING
        )

    def record_held_back(self, document: str, address: IPv4Address, error: Exception) -> None:
        """Record that a document cannot be served now, for the machine at this address where one is known."""
        seen, host = self.machine_at(address)
        data = {"document": document, "address": str(address), "reason": str(error)}
        self.emit("boot.document_held_back", seen, host, data, level=logging.ERROR)

    async def _installer_for(self, seen: SeenMachine, host: Host, writer: ScriptWriter) -> Script:
        problems: list[ContentError | RenderError] = [*await writer.documents.problems(host, (writer.language,))]
        if host.loader is not None and host.loader in self.policy.unusable:
            problems.insert(0, ContentError(f"hosts.{host.name}.loader: {self.policy.unusable[host.loader]}"))
        if problems:
            return writer.write_waiting(WaitPlan(seen.mac, WaitReason.NOT_READY, host), problems[0])
        await self.machines.flush()  # the address survives a kill of the daemon
        async with self._at_the_script[host.name]:  # a loader may repeat its request before it is answered
            return await self._boot_the_installer(seen, host, writer)

    async def _boot_the_installer(self, seen: SeenMachine, host: Host, writer: ScriptWriter) -> Script:
        """Count a boot into the installer, after its script was written: what cannot be sent is not counted."""
        install = await self.install_moves.read(host.name)  # again: rendering the documents took time
        if self.hosts.get(host.name) != host:
            # a reload came between; the next request gets the script
            return writer.write(WaitPlan(seen.mac, WaitReason.NOT_READY, host))
        if await self.install_moves.end_changed_arming(install, mac=seen.mac):
            return writer.write(LocalBootPlan(seen.mac, host))
        if self.policy.address_announces and install.state is InstallState.INSTALLING:
            seen.took_installer = False  # no DHCP request shows that the machine was restarted
        if seen.took_installer and install.is_armed and install.tokens.kickstart:
            return writer.write(InstallPlan(host, install.tokens.kickstart, seen.mac))  # the same boot again
        cause = Cause(seen.mac)
        try:
            if install.has_spent_its_arming:
                await self.install_moves.move(
                    host.name,
                    InstallEvent.ATTEMPTS_SPENT,
                    cause=cause,
                    may_move=lambda now: now.has_spent_its_arming,
                )
                return writer.write(LocalBootPlan(seen.mac, host))
            drawn = draw(self.clock.random_bytes)
            script = writer.write(InstallPlan(host, drawn.kickstart, seen.mac))
            if script.fault is not None:
                return script
            await self.install_moves.boot_the_installer(host, drawn, cause=cause)
        except HostChangedError:
            return writer.write(WaitPlan(seen.mac, WaitReason.NOT_READY, host))
        except TransitionError:
            return writer.write(LocalBootPlan(seen.mac, host))  # disarmed between the read and the change
        seen.took_installer = True
        return script

    def _emit_script(self, seen: SeenMachine, address: IPv4Address, plan: ScriptPlan) -> None:
        """Emit what a machine got, unless it got the same before in this boot and under this arming."""
        reason = plan.reason.value if isinstance(plan, WaitPlan) else None
        served = (type(plan).__name__, reason)
        if seen.served == served:
            return
        seen.served = served
        match plan:
            case InstallPlan(host=host):
                step = Step.SCRIPT if seen.record_step(Step.SCRIPT) else None
                self.emit("boot.script_served", seen, host, {"plan": "install", "address": str(address)}, step=step)
            case LocalBootPlan(host=host):
                step = Step.LOCAL_BOOT if seen.record_step(Step.LOCAL_BOOT) else None
                self.emit("boot.script_served", seen, host, {"plan": "local-disk", "address": str(address)}, step=step)
            case WaitPlan(host=host):
                data = {"plan": "wait", "address": str(address), "reason": reason}
                self.emit("boot.script_served", seen, host, data, level=logging.WARNING)

    def _emit_not_ready(self, seen: SeenMachine, host: Host | None, error: NetbootError) -> None:
        reason = str(error)
        if seen.held_back_by != reason:  # it repeats its request every few seconds
            seen.held_back_by = reason
            self.emit("boot.script_held_back", seen, host, {"reason": reason}, level=logging.ERROR)
