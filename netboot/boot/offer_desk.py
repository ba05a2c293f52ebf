"""What the wire asks and shows: which offer a machine gets now, and what its packets tell of it.

From memory, at once, never awaited: an offer can do no harm, because the script that it leads to asks the store.
"""

import logging
from dataclasses import replace
from ipaddress import IPv4Address

from netboot.boot.decide import decide
from netboot.boot.desk import Desk
from netboot.boot.seen import SeenMachine
from netboot.errors import ContentError
from netboot.model.client import BootClient, Stage
from netboot.model.event import Step
from netboot.model.firmware import RomIpxe
from netboot.model.host import Host, HostSet
from netboot.model.mac import Mac
from netboot.model.offer import Ignored, Offer, OfferKind


class OfferDesk:
    """Answers DHCP on 67 and 4011."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def hosts(self) -> HostSet:
        """The registered machines now, for who tells of them."""
        return self._desk.hosts

    def offer_for(self, client: BootClient) -> Offer | Ignored:
        """Say what a machine is offered now; the same for 67 and 4011. Never waits."""
        desk = self._desk
        host = desk.hosts.by_mac(client.mac)
        install = desk.book.known(host.name) if host else None
        client = self._as_firmware(client, host)
        seen = self._announce(client, host)
        shape = desk.shapes.shape_for(seen, client, host, policy=desk.policy, now_s=desk.clock.monotonic())
        decided = decide(client, host, install, desk.policy, shape=shape)
        if isinstance(decided, Ignored) and host is not None:
            self._record_ignored(client, host, seen, decided)
        return decided

    def offered(self, client: BootClient, offer: Offer) -> None:
        """Take note of an offer that left."""
        desk = self._desk
        seen = desk.seen.get(client.mac) or desk.seen.of(client.mac, now=desk.clock.now())
        host = desk.hosts.by_mac(client.mac)
        if offer.kind is OfferKind.LOADER and client.stage is not Stage.FIRMWARE:
            # whoever is given one is a firmware, an iPXE in a ROM too
            client = replace(client, stage=Stage.FIRMWARE)
        desk.shapes.offered(seen, client, offer)
        if seen.last_offer is not offer.kind:
            seen.last_offer = offer.kind
            data = {"kind": offer.kind.value, "stage": client.stage.value, "boot_file": offer.boot_file or None}
            step = Step.LOCAL_BOOT if offer.kind is OfferKind.LOCAL_DISK else Step.OFFER
            desk.tell("boot.offered", seen, host, data, step=step if seen.take_step(step) else None)
        if host is not None and offer.kind is not OfferKind.LOCAL_DISK:
            desk.book.offered(host.name)

    def record_refused(self, mac: Mac, reason: str, *, why: str, cure: str) -> None:
        """Record why a registered machine gets no answer, once in a while for each reason and arming."""
        host = self._desk.hosts.by_mac(mac)
        if host is None:
            return
        seen = self._desk.seen.of(mac, now=self._desk.clock.now())
        if self._is_news(host, seen, reason):
            data = {"reason": reason, "why": why, "cure": cure}
            self._desk.tell("boot.offer_refused", seen, host, data, level=logging.ERROR)

    def saw_address(self, mac: Mac, address: IPv4Address, *, exchange: int) -> None:
        """Take note of an address that the wire showed for a machine: its REQUEST to a DHCP server, or its 4011.

        `exchange` is the transaction (`xid`) in which it did.
        """
        desk = self._desk
        known = desk.seen.get(mac)
        if known is None and desk.hosts.by_mac(mac) is None:
            return  # not a machine that boots from us
        if known is not None:
            known.asks_for_address(exchange)
        if known is None or known.machine.addresses[-1:] != (address,):
            desk.machines.keep(desk.seen.give_address(mac, address, now=desk.clock.now()).machine)

    def _as_firmware(self, client: BootClient, host: Host | None) -> BootClient:
        """Take an iPXE for a firmware where it is the one in a ROM that the host does not keep."""
        if client.stage is not Stage.IPXE or host is None or host.rom_ipxe is not RomIpxe.REPLACE:
            return client
        seen = self._desk.seen.get(client.mac)
        is_loader = seen is not None and seen.runs_loader(self._desk.clock.monotonic())
        return client if is_loader else replace(client, stage=Stage.FIRMWARE)

    def _record_ignored(self, client: BootClient, host: Host, seen: SeenMachine, ignored: Ignored) -> None:
        reason = ignored.reason.value
        if self._is_news(host, seen, reason):
            why, cure = self._loader_fault(client, host)
            data = {"reason": reason, "arch": seen.machine.arch, "why": why, "cure": cure}
            self._desk.tell("boot.offer_refused", seen, host, data, level=logging.ERROR)

    def _is_news(self, host: Host, seen: SeenMachine, reason: str) -> bool:
        arming = self._desk.book.known(host.name).arming
        return seen.is_news(reason, arming=arming, now_s=self._desk.clock.monotonic())

    def _loader_fault(self, client: BootClient, host: Host) -> tuple[str, str]:
        """Say why a host has no boot loader for this client, and what to do."""
        if host.loader is not None:
            built_for = self._desk.policy.cpu_of(host.loader)
            why = f"its boot loader {host.loader} is built for {built_for}, and it boots as {client.cpu}"
            return why, f"correct hosts.{host.name}.loader, or remove it"
        try:
            name = self._desk.bootfiles.loader(client.protocol, client.arch)
        except ContentError as error:
            why, _, cure = str(error).rpartition("; ")
            return why, cure
        return f"its boot loader {name} was added after the configuration was read", "systemctl reload netboot"

    def _announce(self, client: BootClient, host: Host | None) -> SeenMachine:
        desk = self._desk
        known = desk.seen.get(client.mac)
        before = known and known.machine
        seen = desk.seen.announce(client, now=desk.clock.now(), now_s=desk.clock.monotonic())
        if seen.machine is not before:
            desk.machines.keep(seen.machine)
        if known is None and host is None:
            told = {"arch": seen.machine.arch, "vendor_class": client.vendor_class}
            desk.tell("boot.machine_discovered", seen, None, told)
        return seen
