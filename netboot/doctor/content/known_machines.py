"""The machines whose firmware is known: which loader each is offered, and whether it accepts only signed ones."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from netboot.boot.firmware.reply_variants import choices_for
from netboot.model.boot.boot_client import BootClient, Machine
from netboot.model.boot.offer import IgnoreReason, Policy
from netboot.model.host.firmware import BootVariant
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.operate.readiness import client_of

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KnownMachine:
    """One card that was seen. `client` is its firmware as it was seen last; `secure_boot` is None if not inspected."""

    mac: Mac
    client: BootClient | None
    host: Host | None = None
    secure_boot: bool | None = None
    learned: BootVariant | None = None  # what its firmware accepted
    machine: Machine | None = None  # as it is stored

    def __str__(self) -> str:
        return f"{self.host.name} ({self.mac})" if self.host is not None else str(self.mac)

    def loader(self, policy: Policy) -> str | IgnoreReason | None:
        """Return the loader that it is offered when it is to boot from here, or why none; None: it was never seen."""
        if self.client is None:
            return None
        choices = choices_for(self.client, self.host, policy)
        return choices if isinstance(choices, IgnoreReason) else choices.fit(self.learned).loader


def machines_of(host: Host, view: View) -> Iterator[KnownMachine]:
    """Read the machines of a registered host, as the API shows the host."""
    inspected = {each["mac"]: each["hardware"] for each in view["inspections"] if each["hardware"] is not None}
    secure_boot = _secure_boot(inspected.values())
    for machine in view["machines"]:
        yield _machine(machine, host, secure_boot)


def unregistered_machine(view: View) -> KnownMachine:
    """Read an unregistered machine, as the API lists it."""
    hardware = (view["inspection"] or {}).get("hardware")
    return _machine(view, None, _secure_boot([hardware] if hardware is not None else []))


def _secure_boot(found: Iterable[View]) -> bool | None:
    known = [each["secure_boot"] for each in found if each.get("secure_boot") is not None]
    return known[-1] if known else None


def _machine(view: View, host: Host | None, secure_boot: bool | None) -> KnownMachine:
    first, last = (datetime.fromisoformat(view[key]) for key in ("first_seen", "last_seen"))
    machine = Machine(Mac(view["mac"]), first, last, view["arch"], view["vendor_class"])
    client = client_of(machine)
    learned = view["variants"].get(client.firmware) if client is not None else None
    try:
        variant = BootVariant.parse(learned) if learned else None
    except ValueError:
        variant = None
    return KnownMachine(machine.mac, client, host, secure_boot, variant, machine)
