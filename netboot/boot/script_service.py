"""A machine's script, the only reply that can start an installer.

Each request reads the store; nothing that can wipe a disk is answered from memory. `boot.offers` answers DHCP,
`boot.named_files` requests by name, `boot.token_documents` requests with a token.
"""

import asyncio
import logging
from collections import defaultdict
from dataclasses import KW_ONLY, dataclass, field, replace
from ipaddress import IPv4Address
from typing import assert_never

import structlog

from netboot.boot.decide import script_without_install
from netboot.boot.identity.identity_watch import IdentityWatch
from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import ChangeCause, HostChangedError, InstallMoves
from netboot.boot.live_registry import LiveRegistry, Registry
from netboot.boot.scripts import Script, ScriptWriter
from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.learning import VariantLearning
from netboot.boot.sessions.local_boots import LocalBoots
from netboot.boot.sessions.machines_seen import SeenMachine, SeenMachines
from netboot.errors import (
    ContentError,
    LoaderError,
    NetbootError,
    RenderError,
    StoreError,
    StoreKeyError,
    TransitionError,
)
from netboot.events.event_bus import EventBus
from netboot.model.boot.machine_facts import NO_FACTS, Facts
from netboot.model.boot.offer import (
    HarmlessPlan,
    InspectPlan,
    InstallPlan,
    LocalBootPlan,
    OncePlan,
    Policy,
    RescuePlan,
    ScriptLanguage,
    ScriptPlan,
    WaitPlan,
    WaitReason,
)
from netboot.model.boot.reasons import Alarm, RequestRefusal
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName
from netboot.model.host.host_secrets import secret_values
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.model.install.install import Install, InstallEvent, InstallState
from netboot.model.install.machine_identity import Identity
from netboot.model.install.served_document import ServedDocument, ServedKind
from netboot.model.install.token import Tokens, new_tokens
from netboot.store.machines import Machines
from netboot.store.served_documents import ServedDocuments

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class ScriptService:
    """Answers requests for scripts."""

    registry: LiveRegistry
    seen: SeenMachines
    _: KW_ONLY
    identification: Identification
    install_moves: InstallMoves
    learning: VariantLearning
    local_boots: LocalBoots
    machines: Machines
    inspections: InspectionRecords
    identity: IdentityWatch
    served: ServedDocuments
    events: EventBus
    clock: Clock
    is_shared: bool  # other appliances use the store
    _at_the_script: defaultdict[HostName, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock), init=False
    )
    _last_receiver: dict[HostName, IPv4Address] = field(default_factory=dict, init=False)  # of the installer's script

    async def run(self) -> None:
        """Compute the readiness of armed hosts when hosts or content have changed, until cancelled."""
        while True:
            await self.registry.changed.wait()
            self.registry.changed.clear()
            registry = self.registry.now
            await registry.documents.content.warm(registry.hosts)
            for host in registry.hosts:
                if self.install_moves.known(host.name).is_armed:
                    await registry.documents.problems(host)

    async def serve_script(
        self,
        mac: Mac,
        address: IPv4Address,
        language: ScriptLanguage,
        *,
        base_url: str,
        is_head: bool = False,
        facts: Facts = NO_FACTS,
    ) -> Script:
        """Write a machine's script; one that boots the installer spends a boot of the arming.

        Only a request from the machine's own address changes anything, and only a machine that announced
        itself by DHCP recently gets the installer. `is_head`: a HEAD changes nothing. `facts`: what the request
        reports of its machine. If a template or the store fails, the script waits; raise DescriptorsError if
        no template can be read for lack of a descriptor.
        """
        registry = self.registry.now
        host = registry.hosts.by_mac(mac)
        method = self.local_boots.script_method(self.seen.get(mac), host)
        writer = ScriptWriter(registry.documents, language, base_url, method)
        is_own = self.identification.is_own(mac, host, address)
        machine = self.seen.find_or_add(mac) if is_own and not is_head else None
        try:
            if machine is None:
                script = writer.write(await self._harmless_plan(mac, host, registry.policy))
            else:
                self.seen.record_facts(machine, facts)
                self._record_request(machine, host, address, registry.policy)
                shown = self.identity.shown(machine, address, facts)
                script = await self._script_of(machine, host, shown, registry=registry, writer=writer)
        except StoreError as error:
            without = self._plan_without_store(mac, host, error)
            script = writer.write(without, error if isinstance(without, WaitPlan) else None)
        if not is_own:
            self._record_refused(mac, host, address, plan=script.plan)
        if machine is not None:
            if isinstance(script.plan, InstallPlan):
                self._keep(script.plan, script.text, writer)
            if script.fault is not None:
                self._emit_held_back(machine, host, script.fault)
            self._emit_script(machine, host, address, script.plan)
        return script

    def _keep(self, plan: InstallPlan, text: str, writer: ScriptWriter) -> None:
        """Store the installer's script as the last one that its host was served."""
        kind = ServedKind.GRUB if writer.language is ScriptLanguage.GRUB else ServedKind.SCRIPT
        tokens, at = Tokens(kickstart=plan.kickstart_token), self.clock.now()
        self.served.keep(
            ServedDocument.of(
                plan.host.name,
                kind,
                text.encode(),
                tokens=tokens,
                at=at,
                mac=plan.mac,
                base_url=writer.base_url,
                secrets=secret_values(plan.host),
            )
        )

    async def _harmless_plan(self, mac: Mac, host: Host | None, policy: Policy) -> HarmlessPlan:
        install = await self.install_moves.read(host.name) if host else None
        return script_without_install(mac, host, install, policy) or WaitPlan(mac, WaitReason.NOT_ANNOUNCED, host)

    def _plan_without_store(self, mac: Mac, host: Host | None, error: StoreError) -> LocalBootPlan | WaitPlan:
        """Return what a machine boots while the store fails: its own disk, if memory has no arming of it.

        An arming or request that another appliance stored meanwhile stays for its next boot.
        """
        if isinstance(error, StoreKeyError):
            return WaitPlan(mac, WaitReason.NOT_READY, host)
        if host is None or self.install_moves.known(host.name).is_armed or self.inspections.known(mac) is not None:
            return WaitPlan(mac, WaitReason.STORE_UNREACHABLE, host)
        return LocalBootPlan(mac, host)

    async def _script_of(
        self,
        machine: SeenMachine,
        host: Host | None,
        shown: Identity,
        *,
        registry: Registry,
        writer: ScriptWriter,
    ) -> Script:
        is_announced = machine.is_announced(self.clock.monotonic())
        at_the_script = machine.at_the_script if host is None else self._at_the_script[host.name]
        async with at_the_script:  # a loader may repeat its request before it is answered
            install = None if host is None else await self.install_moves.read(host.name)
            inspection = self.inspections.known(machine.mac)
            plan = script_without_install(
                machine.mac, host, install, registry.policy, inspection=inspection, may_boot_once=is_announced
            )
            if host is None or install is None or not install.is_armed:
                self.identity.compare_script(shown, machine, host)
            if host is None or install is None:
                return await self._without_install(machine, plan or LocalBootPlan(machine.mac, None), writer)
            machine.note_arming(install.arming)
            if plan is None and not is_announced:
                plan = WaitPlan(machine.mac, WaitReason.NOT_ANNOUNCED, host)
            elif plan is None or (isinstance(plan, WaitPlan) and plan.reason is WaitReason.HELD):
                may_ask, policy = writer.language is ScriptLanguage.IPXE, registry.policy
                plan = await self.identity.hold(machine, host, install, shown=shown, policy=policy, may_ask=may_ask)
            if plan is not None:
                return await self._without_install(machine, plan, writer)
            problem = await self._problem(host, registry, writer.language)
            if problem is not None:
                return writer.write(WaitPlan(machine.mac, WaitReason.NOT_READY, host), problem)
            await self.machines.flush()  # the address survives a kill of the daemon
            return await self._boot_the_installer(machine, host, shown, install=install, writer=writer)

    async def _without_install(self, machine: SeenMachine, plan: HarmlessPlan, writer: ScriptWriter) -> Script:
        """Write a script that installs nothing. What the machine boots once begins with it.

        If that cannot begin, a registered machine boots its own disk, and another one waits.
        """
        host = plan.host
        if machine.once is not None and self._is_valid(machine.once, host):
            return writer.write(machine.once)  # the same boot again
        if not isinstance(plan, OncePlan):
            return writer.write(plan)
        problem: NetbootError | None = await writer.documents.content.medium_problem(plan.medium)
        if problem is None:
            if isinstance(plan, InspectPlan):
                plan = replace(plan, token=self.inspections.new_token())
            script = writer.write(plan)
            if script.fault is None and await self._begin(machine, plan):
                return script
            problem = script.fault
        reason = WaitReason.NOT_READY if problem else WaitReason.UNKNOWN_HOST
        return writer.write(LocalBootPlan(plan.mac, host) if host else WaitPlan(plan.mac, reason), problem)

    def _is_valid(self, once: OncePlan, host: Host | None) -> bool:
        """Return whether what this boot began is still what its machine boots: a report spends the token."""
        if (once.host and once.host.name) != (host and host.name):
            return False  # it was registered or removed meanwhile
        if isinstance(once, RescuePlan):
            return True
        record = self.inspections.known(once.mac)
        return record is not None and record.token == once.token

    async def _begin(self, machine: SeenMachine, plan: OncePlan) -> bool:
        is_begun = await self.inspections.begin(plan, is_seen=lambda mac: self.seen.get(mac) is not None)
        machine.once = plan if is_begun else None
        if is_begun:
            await self.machines.flush()  # the address survives a kill of the daemon
        return is_begun

    def _record_request(self, machine: SeenMachine, host: Host | None, address: IPv4Address, policy: Policy) -> None:
        now_s = self.clock.monotonic()
        if policy.address_announces and host is not None and address in host.addresses:
            machine.announce_by_request(now_s)
        self.learning.record_script(machine, host, policy=policy, now_s=now_s)
        if machine.loader_shown_s is not None:
            machine.loader_shown_s = now_s

    def _record_refused(self, mac: Mac, host: Host | None, address: IPv4Address, *, plan: ScriptPlan) -> None:
        """Record that a script was requested from an address that is not its machine's."""
        has_no_address = self.registry.now.policy.address_announces and host is not None and not host.addresses
        reason = (RequestRefusal.NO_ADDRESS if has_no_address else RequestRefusal.OTHER_ADDRESS).value
        if host is None and self.seen.get(mac) is None:  # no machine has this MAC
            log.debug("boot.request_ignored", mac=mac, address=str(address), reason=reason)
            return
        waits = plan.reason.value if isinstance(plan, WaitPlan) else None
        data = {"request": "script", "address": str(address), "reason": reason, "waits": waits}
        self.events.emit("boot.request_refused", data, host=host, mac=mac, level=logging.WARNING)

    async def _problem(
        self, host: Host, registry: Registry, language: ScriptLanguage
    ) -> ContentError | RenderError | None:
        """Return why an install of this host would fail now."""
        if host.loader is not None and host.loader in registry.policy.unusable:
            return LoaderError(f"hosts.{host.name}.loader: {registry.policy.unusable[host.loader]}")
        if registry.documents.is_ready(host, language):
            return await registry.documents.content.problem(host)
        return next(iter(await registry.documents.problems(host, (language,))), None)

    async def _boot_the_installer(
        self, seen: SeenMachine, host: Host, shown: Identity, *, install: Install, writer: ScriptWriter
    ) -> Script:
        """Move the install as far as this boot does, in one transaction; the script is written within it.

        So a boot whose script cannot be written is not counted.
        """
        moves, cause, disk = self.install_moves, ChangeCause(seen.mac), LocalBootPlan(seen.mac, host)
        target = await moves.target(host.name)
        if await moves.end_if_changed(install, target, mac=seen.mac):
            return writer.write(disk)
        if self.registry.now.policy.address_announces and install.state is InstallState.INSTALLING:
            seen.served_token = ""  # no DHCP request shows that the machine was restarted
        running = install.tokens.kickstart  # another card, or an earlier arming, may have begun another boot since
        is_repeated = seen.served_token == running or (
            self.is_shared and seen.is_in_boot_of(install.identity, self.clock)
        )
        if running and is_repeated:
            return writer.write(InstallPlan(host, running, seen.mac))  # the same boot again
        drawn = new_tokens(self.clock.random_bytes)
        plan = InstallPlan(host, drawn.kickstart, seen.mac)
        try:
            if install.has_spent_its_arming:
                event = InstallEvent.ATTEMPTS_SPENT
                await moves.move(host.name, event, cause=cause, may_move=lambda now: now.has_spent_its_arming)
                return writer.write(disk)
            text = await moves.boot_the_installer(
                host,
                drawn,
                target=target,
                cause=cause,
                write=lambda: writer.render(plan),
                shown=shown,
                exchange=seen.requested,
                may_boot=lambda now: not self.identity.holds(host, now, shown, self.registry.now.policy),
            )
        except RenderError as error:
            return writer.write(WaitPlan(seen.mac, WaitReason.NOT_READY, host), error)
        except HostChangedError:  # a reload came between; the next request gets the script
            return writer.write(WaitPlan(seen.mac, WaitReason.NOT_READY, host))
        except TransitionError:
            return writer.write(disk)  # disarmed between the read and the change
        seen.served_token, seen.served_boot = drawn.kickstart, moves.known(host.name).identity.boot
        self._record_receiver(
            host, IPv4Address(shown.address), is_repeated=install.arming is not None and install.arming.spent > 0
        )
        return Script(plan, text)

    def _record_receiver(self, host: Host, address: IPv4Address, *, is_repeated: bool) -> None:
        """Record the address that boots the installer. Raises an alarm if another address did under the same arming:

        its tokens are void now, and one of the two machines may be forged.
        """
        earlier, self._last_receiver[host.name] = self._last_receiver.get(host.name), address
        if is_repeated and earlier not in (None, address):
            data = {"document": "script", "address": str(address), "earlier": str(earlier)}
            data |= {"reason": Alarm.SECOND_ADDRESS.value}
            self.events.emit("boot.alarm_raised", data, host=host, mac=host.mac, level=logging.ERROR)

    def _emit_script(self, seen: SeenMachine, host: Host | None, address: IPv4Address, plan: ScriptPlan) -> None:
        """Emit the script of a machine, unless it got the same one before in this boot and under this arming."""
        reason, step = None, None
        match plan:
            case InstallPlan():
                kind, step = "install", Step.SCRIPT
            case InspectPlan(wipe=wipe):
                kind = "wipe" if wipe else "inspect"
            case RescuePlan():
                kind = "rescue"
            case LocalBootPlan():
                kind, step = "local-disk", Step.LOCAL_BOOT
            case WaitPlan():
                kind, reason = "wait", plan.reason.value
            case _:
                assert_never(plan)
        if seen.boot.served == (kind, reason):
            if step is not None:
                self.seen.count_retry(seen, step)
            return
        seen.boot.served = kind, reason
        data = {"plan": kind, "address": str(address), **({"reason": reason} if reason else {})}
        data |= self._data_of(plan, seen, host)
        level = logging.WARNING if reason else logging.INFO
        taken = seen.boot.record_step(step) if step else None
        self.events.emit("boot.script_served", data, host=host, mac=seen.mac, step=taken, level=level)

    def _data_of(self, plan: ScriptPlan, seen: SeenMachine, host: Host | None) -> dict[str, str]:
        """Return what the event of a script has beside its kind; one for the local disk is recorded as such."""
        match plan:
            case InspectPlan() | RescuePlan():
                return {"medium": plan.medium}
            case InstallPlan() if elsewhere := self.registry.now.documents.elsewhere(plan.host):
                return {"elsewhere": " ".join(elsewhere)}
            case LocalBootPlan() if method := self.local_boots.record_led(seen, host) or plan.method:
                return {"method": method.value}
            case _:
                return {}

    def _emit_held_back(self, seen: SeenMachine, host: Host | None, error: NetbootError) -> None:
        reason = str(error)
        if seen.boot.held_back_by != reason:  # it repeats its request every few seconds
            seen.boot.held_back_by = reason
            data = {"reason": reason, "part": error.part}
            self.events.emit("boot.script_held_back", data, host=host, mac=seen.mac, level=logging.ERROR)
