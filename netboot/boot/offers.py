"""Boot requests by DHCP: which offer a machine gets now, and what its packets show.

Decided from memory without waiting: an offer is harmless, because the script that it leads to reads the store.
"""

import logging
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Final

from netboot.boot.decide import decide
from netboot.boot.machines_seen import SeenMachine
from netboot.boot.script_service import ScriptService
from netboot.model.boot.boot_client import BootClient, Stage, arch_name
from netboot.model.boot.offer import Ignored, IgnoreReason, Offer, OfferKind
from netboot.model.host.firmware import RomIpxe
from netboot.model.host.host import Host, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step

REFUSED_ARCHES: Final = 32  # architectures of unregistered machines: each sends any number that it likes


class OfferService:
    """Answers DHCP on 67 and 4011."""

    def __init__(self, script_service: ScriptService) -> None:
        self._script_service = script_service
        self._refused_arches: set[int] = set()

    @property
    def hosts(self) -> HostSet:
        """The registered hosts of this moment."""
        return self._script_service.hosts

    def offer_for(self, client: BootClient) -> Offer | Ignored:
        """Return what a machine is offered now; the same for 67 and 4011. Never waits."""
        script_service = self._script_service
        host = script_service.hosts.by_mac(client.mac)
        install = script_service.install_moves.known(host.name) if host else None
        client = self._at_its_stage(client, host)
        seen = self._announce(client, host)
        variant = script_service.variants.variant_for(
            seen, client, host, policy=script_service.policy, now_s=script_service.clock.monotonic()
        )
        decision = decide(client, host, install, script_service.policy, variant=variant)
        if decision == Ignored(IgnoreReason.NO_LOADER_FOR_ARCH) and script_service.renew_boot_files():
            variant = script_service.variants.variant_for(
                seen, client, host, policy=script_service.policy, now_s=script_service.clock.monotonic()
            )
            decision = decide(client, host, install, script_service.policy, variant=variant)
        if client.stage is Stage.IPXE_WITHOUT_HTTP:
            seen.trace.lacks_http = True
        if isinstance(decision, Ignored) and decision.reason is not IgnoreReason.UNKNOWN_HOST:
            self._emit_refused(client, host, seen, decision.reason)
        return decision

    def offered(self, client: BootClient, offer: Offer) -> None:
        """Record an offer that was sent."""
        script_service = self._script_service
        seen = script_service.seen.get(client.mac) or script_service.seen.of(client.mac, now=script_service.clock.now())
        host = script_service.hosts.by_mac(client.mac)
        if offer.kind is OfferKind.LOADER and client.stage is not Stage.FIRMWARE:
            # a client that is offered a loader is firmware, an iPXE in a ROM too
            client = replace(client, stage=Stage.FIRMWARE)
        script_service.variants.offered(seen, client, offer)
        if seen.last_offer is not offer.kind:
            seen.last_offer = offer.kind
            data = {"kind": offer.kind.value, "stage": client.stage.value, "boot_file": offer.boot_file or None}
            step = Step.LOCAL_BOOT if offer.kind is OfferKind.LOCAL_DISK else Step.OFFER
            script_service.emit("boot.offered", seen, host, data, step=step if seen.record_step(step) else None)
        if host is not None and offer.kind is not OfferKind.LOCAL_DISK:
            script_service.install_moves.offered(host.name)

    def refused(self, mac: Mac, reason: str, *, cure: str) -> None:
        """Record that a registered machine's packet gets no reply, once for each reason until it boots again."""
        script_service = self._script_service
        host = script_service.hosts.by_mac(mac)
        if host is None:
            return
        seen = script_service.seen.of(mac, now=script_service.clock.now())
        seen.note_arming(script_service.install_moves.known(host.name).arming)
        if seen.refused_because != reason:
            seen.refused_because = reason
            script_service.emit(
                "dhcp.boot_refused", seen, host, {"reason": reason, "cure": cure}, level=logging.WARNING
            )

    def saw_address(self, mac: Mac, address: IPv4Address, *, exchange: int) -> None:
        """Record an address that a machine used: in its REQUEST to a DHCP server, or on 4011.

        `exchange` is the transaction id (`xid`) of that packet.
        """
        script_service = self._script_service
        known, before = script_service.seen.get(mac), script_service.seen.by_address(address)
        if known is None and script_service.hosts.by_mac(mac) is None:  # not a machine that boots from us
            if before is not None:
                script_service.machines.keep(script_service.seen.take_address(before, address))
            return
        if known is not None:
            known.note_request(exchange)
            if before is known and known.machine.addresses[-1:] == (address,):
                return
        script_service.machines.keep(
            script_service.seen.give_address(mac, address, now=script_service.clock.now()).machine
        )
        if before is not None and before.mac != mac:
            script_service.machines.keep(before.machine)  # otherwise it would have this address again after a restart

    def _at_its_stage(self, client: BootClient, host: Host | None) -> BootClient:
        """Distinguish a loader that we sent from an iPXE or gPXE in a ROM; a packet alone does not show it.

        A ROM's iPXE that the host replaces, or that has no HTTP, counts as firmware and gets a loader. A loader
        with another user class is still iPXE; one built without HTTP cannot fetch its script.
        """
        seen = self._script_service.seen.get(client.mac)
        is_loader = seen is not None and seen.runs_loader(self._script_service.clock.monotonic())
        if client.stage is Stage.IPXE:
            is_replaced = host is not None and host.rom_ipxe is RomIpxe.REPLACE and not is_loader
            return replace(client, stage=Stage.FIRMWARE) if is_replaced else client
        firmware = seen.trace.client if seen is not None else None
        if not client.is_etherboot or not is_loader or firmware is None:
            return client
        if firmware.is_etherboot and firmware.has_http == client.has_http:
            return client  # the same as the ROM, so it counts as the ROM
        return replace(client, stage=Stage.IPXE if client.has_http else Stage.IPXE_WITHOUT_HTTP)

    def _announce(self, client: BootClient, host: Host | None) -> SeenMachine:
        script_service = self._script_service
        known = script_service.seen.get(client.mac)
        before = known and known.machine
        seen = script_service.seen.announce(
            client, now=script_service.clock.now(), now_s=script_service.clock.monotonic()
        )
        if seen.machine is not before:
            script_service.machines.keep(seen.machine)
        if known is None and host is None:
            data = {"arch": seen.machine.arch, "vendor_class": client.vendor_class}
            script_service.emit("boot.machine_discovered", seen, None, data)
        return seen

    def _emit_refused(self, client: BootClient, host: Host | None, seen: SeenMachine, reason: IgnoreReason) -> None:
        """Record a machine that has no loader: a host once in each boot, other machines once for each architecture."""
        if host is None:
            if client.arch in self._refused_arches or len(self._refused_arches) >= REFUSED_ARCHES:
                return
            self._refused_arches.add(client.arch)
        else:
            seen.note_arming(self._script_service.install_moves.known(host.name).arming)
            if seen.refused_because == reason:
                return
        seen.refused_because = reason
        data: dict[str, str | int | float | None] = {"architecture": int(client.arch), "reason": reason.value}
        data |= {"arch": arch_name(client.arch), "protocol": client.protocol.value}
        data |= {"cure": self._cure(client, host, seen, reason=reason)}
        if reason is IgnoreReason.LOADER_WITHOUT_HTTP:
            self._script_service.emit("dhcp.boot_refused", seen, host, data, level=logging.WARNING)
        else:
            self._script_service.emit("dhcp.architecture_refused", seen, host, data, level=logging.WARNING)

    def _cure(self, client: BootClient, host: Host | None, seen: SeenMachine, *, reason: IgnoreReason) -> str:
        """Name what is missing and the package that installs it."""
        script_service = self._script_service
        if reason is IgnoreReason.LOADER_FOR_ANOTHER_CPU and host is not None and host.loader is not None:
            built_for = script_service.policy.cpu_of(host.loader)
            return f"{host.loader} is built for {built_for}, not for {client.cpu}; correct hosts.{host.name}.loader"
        if reason is IgnoreReason.LOADER_WITHOUT_HTTP:
            variant = seen.trace.variant
            loader = variant.loader if variant is not None else "its loader"
            return f"{loader} is an iPXE built without HTTP; replace it by one with HTTP, as distributions build it"
        missing = script_service.bootfiles.missing_loader(client.protocol, client.arch)
        return "; ".join(missing) if missing else "its loader was put there after the start; systemctl reload netboot"
