"""Answers boot requests by DHCP: chooses the offer, and records what a machine's packets show.

Decided from memory without waiting: an offer is harmless, because the script that it leads to reads the store.
"""

import logging
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.decide import NOTHING_KNOWN, Decision, KnownFirmware, decide_at_stage, effective_client
from netboot.boot.firmware.reply_variants import WHOLE_CYCLE, ending
from netboot.boot.identity.identity_watch import IdentityWatch
from netboot.boot.inspection_records import InspectionRecords
from netboot.boot.install_moves import InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.learning import VariantLearning
from netboot.boot.sessions.local_boots import LocalBoots
from netboot.boot.sessions.machines_seen import SeenMachine, SeenMachines
from netboot.events.event_bus import EventBus
from netboot.model.boot.boot_client import BootClient, Stage, arch_name
from netboot.model.boot.boot_ending import Ending
from netboot.model.boot.offer import Ignored, IgnoreReason, OfferKind
from netboot.model.clock import Clock
from netboot.model.host.firmware import BootVariant
from netboot.model.host.host import Host, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step

REFUSED_ARCHES: Final = 32  # architectures of unregistered machines, which may send any number


@dataclass(frozen=True, slots=True, eq=False)
class OfferService:
    """Answers DHCP on 67 and 4011."""

    registry: LiveRegistry
    seen: SeenMachines
    _: KW_ONLY
    install_moves: InstallMoves
    inspections: InspectionRecords
    learning: VariantLearning
    local_boots: LocalBoots
    identity: IdentityWatch
    events: EventBus
    clock: Clock
    _refused_arches: set[int] = field(default_factory=set, init=False)

    @property
    def hosts(self) -> HostSet:
        """The registered hosts of this moment."""
        return self.registry.now.hosts

    def decide_offer(self, client: BootClient) -> Decision | Ignored:
        """Record a boot request, and decide what its machine is offered now; the same for 67 and 4011. Never waits."""
        host, known, now_s = self.hosts.by_mac(client.mac), self.seen.get(client.mac), self.clock.monotonic()
        firmware = KnownFirmware(known.runs_loader(now_s), known.boot.trace.client) if known else NOTHING_KNOWN
        client, before = effective_client(client, host, firmware), known.boot if known else None
        seen = self.seen.announce(client, now_s)
        if known is None and host is None:
            data = {"arch": seen.machine.arch, "vendor_class": client.vendor_class}
            self.events.emit("boot.machine_discovered", data, mac=client.mac)
        if before is not None and seen.boot is not before:
            self.local_boots.judge_begun(seen, client, host)
        self.identity.note_announcement(client, seen, host)
        if client.stage is Stage.FIRMWARE:
            self.learning.judge_ended(seen, host, policy=self.registry.now.policy, now_s=now_s)
            if seen.boot.trace.discovers >= WHOLE_CYCLE:
                self._record_unanswered(seen, host)
        decision = self._decide(client, host, seen)
        if isinstance(decision, Decision):
            return decision
        if decision.reason is IgnoreReason.NO_LOADER_FOR_ARCH and self.registry.renew_boot_files():
            decision = self._decide(client, host, seen)
        if isinstance(decision, Ignored) and decision.reason is IgnoreReason.BOOTS_LOCALLY:
            self._record_withheld(seen, client, host)
        elif isinstance(decision, Ignored) and decision.reason is not IgnoreReason.UNKNOWN_HOST:
            seen.boot.trace.lacks_http |= decision.reason is IgnoreReason.LOADER_WITHOUT_HTTP
            self._emit_refused(client, host, seen, decision.reason)
        return decision

    def _decide(self, client: BootClient, host: Host | None, seen: SeenMachine) -> Decision | Ignored:
        install = self.install_moves.known(host.name) if host else None
        variant = seen.learned_of(client).variant
        policy, inspection = self.registry.now.policy, self.inspections.known(client.mac)
        local_boot = seen.machine.local_boots.get(client.firmware) if seen.machine.local_boots else None
        return decide_at_stage(
            client, host, install, policy, variant=variant, inspection=inspection, local_boot=local_boot
        )

    def _record_withheld(self, seen: SeenMachine, client: BootClient, host: Host | None) -> None:
        """Record, once in each boot, that a machine is led to its disk by no reply."""
        method = self.local_boots.record_led(seen, host)
        if (step := self.seen.record_step(seen, Step.LOCAL_BOOT)) is not None:
            data = {"method": method, "stage": client.stage, "arch": arch_name(client.arch)}
            data |= {"protocol": client.protocol}
            shown = {name: str(value) for name, value in data.items()}
            self.events.emit("boot.offer_withheld", shown, host=host, mac=seen.mac, step=step)

    def record_offer(self, decision: Decision) -> None:
        """Record an offer that was sent."""
        client, host, offer = decision.client, decision.host, decision.offer
        seen = self.seen.find_or_add(client.mac)
        boot = seen.boot
        if client.stage is Stage.FIRMWARE:
            is_loader = offer.kind is OfferKind.LOADER
            boot.trace.client = client
            boot.trace.variant = BootVariant(offer.variant, offer.boot_file) if is_loader else None
        if boot.last_offer is not offer.kind:
            boot.last_offer = offer.kind
            data: dict[str, str | int | None] = {"kind": str(offer.kind), "stage": str(client.stage)}
            data |= {"boot_file": offer.boot_file or None}
            if client.elapsed and boot.trace.discovers <= 1:
                data |= {"secs": client.elapsed}  # no earlier DISCOVER of this exchange came here
            data |= {"arch": arch_name(client.arch), "protocol": client.protocol.value}
            data |= {"vendor_class": client.vendor_class or None}
            if offer.kind is OfferKind.LOCAL_DISK:
                data |= {"method": self.local_boots.record_led(seen, host)}
            step = boot.record_step(Step.LOCAL_BOOT if offer.kind is OfferKind.LOCAL_DISK else Step.OFFER)
            self.events.emit("boot.offered", data, host=host, mac=client.mac, step=step)
        elif client.stage is Stage.FIRMWARE and client.exchange is not None:  # it repeats its DISCOVER
            self.seen.count_retry(seen, Step.OFFER)
        if host is not None and offer.kind is not OfferKind.LOCAL_DISK:
            self.install_moves.record_offer(host.name)

    def record_pxe_request(self, decision: Decision) -> None:
        """Record that a firmware sent its request on port 4011, and was answered."""
        client, offer = decision.client, decision.offer
        seen = self.seen.find_or_add(client.mac)
        if client.stage is Stage.FIRMWARE and (step := self.seen.record_step(seen, Step.PXE_REQUEST)):
            data = {"kind": offer.kind.value, "boot_file": offer.boot_file or None}
            self.events.emit("boot.pxe_requested", data, host=decision.host, mac=client.mac, step=step)

    def _record_unanswered(self, seen: SeenMachine, host: Host | None) -> None:
        """Record that a firmware repeats its boot request and takes no address, once in each boot."""
        trace = seen.boot.trace
        if ending(trace) is not Ending.NO_REQUEST or not seen.boot.note_problem("offers"):
            return
        assert trace.variant is not None
        assert trace.client is not None
        data: dict[str, str | int] = {"discovers": trace.discovers, "secs": trace.elapsed}
        data |= {"protocol": str(trace.client.protocol), "variant": str(trace.variant), "loader": trace.variant.loader}
        self.events.emit("boot.offers_unanswered", data, host=host, mac=seen.mac, level=logging.WARNING)

    def record_refusal(self, mac: Mac, reason: str, *, cure: str) -> None:
        """Record that a registered machine's packet gets no reply, once for each reason until it boots again."""
        host = self.hosts.by_mac(mac)
        if host is not None and self._is_new_refusal(self.seen.find_or_add(mac), host, reason):
            data = {"reason": reason, "cure": cure}
            self.events.emit("dhcp.boot_refused", data, host=host, mac=mac, level=logging.WARNING)

    def _is_new_refusal(self, seen: SeenMachine, host: Host, reason: str) -> bool:
        """Record why a host's machine gets no offer; return whether it was not reported in this boot and arming."""
        seen.note_arming(self.install_moves.known(host.name).arming)
        before, seen.boot.refused_because = seen.boot.refused_because, reason
        return before != reason

    def record_address(self, mac: Mac, address: IPv4Address, *, exchange: int) -> None:
        """Record an address that a machine used: in its REQUEST to a DHCP server, or on 4011.

        `exchange` is the transaction id (`xid`) of that packet.
        """
        known = self.seen.get(mac)
        if known is not None:
            known.note_request(exchange)
        if known is None and self.hosts.by_mac(mac) is None:  # a machine that does not boot from us
            self.seen.free_address(address)
        else:
            self.seen.give_address(mac, address)

    def _emit_refused(self, client: BootClient, host: Host | None, seen: SeenMachine, reason: IgnoreReason) -> None:
        """Record a machine that has no loader: a host once in each boot, other machines once for each architecture."""
        if host is None:
            if client.arch in self._refused_arches or len(self._refused_arches) >= REFUSED_ARCHES:
                return
            self._refused_arches.add(client.arch)
        elif not self._is_new_refusal(seen, host, reason):
            return
        data: dict[str, str | int | float | None] = {"architecture": int(client.arch), "reason": reason.value}
        data |= {"arch": arch_name(client.arch), "protocol": client.protocol.value}
        data |= {"cure": self._cure(client, host, seen, reason=reason)}
        if reason is IgnoreReason.LOADER_WITHOUT_HTTP:
            self.events.emit("dhcp.boot_refused", data, host=host, mac=client.mac, level=logging.WARNING)
        else:
            self.events.emit("dhcp.architecture_refused", data, host=host, mac=client.mac, level=logging.WARNING)

    def _cure(self, client: BootClient, host: Host | None, seen: SeenMachine, *, reason: IgnoreReason) -> str:
        """Name what is missing and the package that installs it."""
        registry = self.registry.now
        if reason is IgnoreReason.LOADER_FOR_ANOTHER_CPU and host is not None and host.loader is not None:
            built_for = registry.policy.cpu_of(host.loader)
            return f"{host.loader} is built for {built_for}, not for {client.cpu}; correct hosts.{host.name}.loader"
        if reason is IgnoreReason.LOADER_WITHOUT_HTTP:
            variant = seen.boot.trace.variant
            loader = variant.loader if variant is not None else "its loader"
            return f"{loader} is an iPXE built without HTTP; replace it by one with HTTP, as distributions build it"
        missing = registry.boot_files.missing_loader(client.protocol, client.arch)
        return "; ".join(missing) if missing else "its loader was put there after the start; systemctl reload netboot"
