"""Records how each machine is led to its own disk, evaluates what followed, reports and stores what is learned.

The rules are in `boot.firmware.local_boot_learning`; this applies them to machines. In memory, with
`boot.sessions.machines_seen`; the store keeps it with the machine.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never

from netboot.boot.firmware.local_boot_learning import (
    LocalBootVerdict,
    MethodChanged,
    MethodLearned,
    NoMethodLeft,
    began_again,
    booted,
    is_unheard,
    led_to_disk,
    method_for,
    stayed_unseen,
)
from netboot.boot.firmware.local_boot_methods import local_boot_methods
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.sessions.machines_seen import SeenMachine, SeenMachines
from netboot.events.event_bus import EventBus
from netboot.model.boot.boot_client import BootClient
from netboot.model.clock import Clock
from netboot.model.host.firmware import BY_SCRIPT, LocalBoot, LocalBootMethod
from netboot.model.host.host import Host

FIRMWARES: Final = 8  # of one machine: a request can have any of 65,536 architectures


@dataclass(frozen=True, slots=True)
class LocalBoots:
    """The only place that changes a machine's method of local boot."""

    registry: LiveRegistry
    seen: SeenMachines
    events: EventBus
    clock: Clock

    def script_method(self, seen: SeenMachine | None, host: Host | None) -> LocalBootMethod | None:
        """Return the method for the script of a machine; None: the one that the script's platform has first."""
        client = seen.boot.client if seen is not None else None
        if seen is None or client is None:  # its firmware was not seen: `dhcp.mode: off`
            fixed = host.local_boot if host is not None else None
            return fixed if fixed in BY_SCRIPT else None
        methods = local_boot_methods(client, host, self.registry.now.policy)
        method = method_for(seen.machine.local_boots.get(client.firmware), methods)
        is_fixed = host is not None and host.local_boot is method
        is_first = not is_fixed and next((each for each in methods if each in BY_SCRIPT), None) is method
        return method if method in BY_SCRIPT and not is_first else None

    def record_led(self, seen: SeenMachine, host: Host | None) -> LocalBootMethod | None:
        """Record that a machine is led to its disk now, once in each boot; return by which method."""
        client = seen.boot.client
        if client is None:
            return None
        methods = local_boot_methods(client, host, self.registry.now.policy)
        known = seen.machine.local_boots.get(client.firmware)
        if not seen.boot.is_led_to_disk:
            seen.boot.is_led_to_disk = True
            known = led_to_disk(known, methods, now=self.clock.now())
            self._keep(seen, client.firmware, known)
        return method_for(known, methods)

    def judge_begun(self, seen: SeenMachine, client: BootClient, host: Host | None) -> None:
        """Learn from a boot that begins: the machine may have come back at once."""
        known = seen.machine.local_boots.get(client.firmware)
        if known is not None and known.led_at is not None:
            methods = local_boot_methods(client, host, self.registry.now.policy)
            self._learn(seen, client.firmware, host, *began_again(known, methods, now=self.clock.now()))

    def record_sign(self, host: Host, sign: str) -> None:
        """Learn that the installed system of a host showed itself: `ignition`, `ready` or `report`."""
        if (led := self._last_led(host)) is not None:
            seen, firmware, known = led
            if known.unheard == known.led_at:
                data = {"firmware": firmware, "method": known.method.value}
                self.events.emit("boot.node_heard", data, host=host, mac=seen.mac)
            self._learn(seen, firmware, host, *booted(known, sign, now=self.clock.now()))

    def record_unheard(self, host: Host, reported_at: datetime) -> None:
        """Record that a node does not report since it was led to its disk, and did before: once for each boot."""
        led = self._last_led(host)
        if led is None or led[2].unheard == led[2].led_at:
            return
        seen, firmware, known = led
        if known.led_at is None or not is_unheard(known, reported_at, now=self.clock.now()):
            return
        times = {"led_at": known.led_at.isoformat(), "reported_at": reported_at.isoformat()}
        data = {"firmware": firmware, "method": known.method.value, **times}
        self._keep(seen, firmware, replace(known, unheard=known.led_at))
        self.events.emit("boot.node_unheard", data, host=host, mac=seen.mac, level=logging.WARNING)

    def record_unseen(self, host: Host) -> None:
        """Learn that the installed system of a host did not show itself in time after its first local boot."""
        if (led := self._last_led(host)) is None:
            return
        seen, firmware, known = led
        client = seen.boot.client
        if client is not None and client.firmware == firmware:
            methods = local_boot_methods(client, host, self.registry.now.policy)
            self._learn(seen, firmware, host, *stayed_unseen(known, methods, now=self.clock.now()))

    def _last_led(self, host: Host) -> tuple[SeenMachine, str, LocalBoot] | None:
        """Find the card and firmware of a host that was led to its disk last, and is not known to have started it."""
        machines = [seen for mac in host.macs if (seen := self.seen.get(mac)) is not None]
        led = [
            (known.led_at, seen, firmware, known)
            for seen in machines
            for firmware, known in seen.machine.local_boots.items()
            if known.led_at is not None
        ]
        return max(led, key=lambda each: each[0])[1:] if led else None

    def _learn(
        self, seen: SeenMachine, firmware: str, host: Host | None, found: LocalBoot, verdict: LocalBootVerdict | None
    ) -> None:
        self._keep(seen, firmware, found)
        match verdict:
            case None:
                return
            case MethodLearned(method):
                data = {"firmware": firmware, "method": method.value, "by": found.why}
                self.events.emit("boot.local_boot_learned", data, host=host, mac=seen.mac)
            case MethodChanged(reason, before, after):
                data = {"firmware": firmware, "reason": reason.value, "from": before.value, "to": after.value}
                self.events.emit("boot.local_boot_changed", data, host=host, mac=seen.mac, level=logging.WARNING)
            case NoMethodLeft(reason, method):
                fixed = host is not None and host.local_boot is method
                cure = "choose the disk in its boot order, and read its screen"
                if fixed and host is not None:
                    cure += f"; hosts.{host.name}.local_boot fixes the method, so no other is tried"
                data = {"firmware": firmware, "reason": reason.value, "method": method.value, "cure": cure}
                self.events.emit("boot.local_boot_failed", data, host=host, mac=seen.mac, level=logging.ERROR)
            case _:
                assert_never(verdict)

    def _keep(self, seen: SeenMachine, firmware: str, known: LocalBoot) -> None:
        """Keep what is known of `FIRMWARES` of a machine; of others, one that never worked is forgotten first."""
        if seen.machine.local_boots.get(firmware) != known:
            others = {name: each for name, each in seen.machine.local_boots.items() if name != firmware}
            while len(others) >= FIRMWARES:
                del others[next((name for name, each in others.items() if each.worked is None), next(iter(others)))]
            self.seen.keep(seen, replace(seen.machine, local_boots={**others, firmware: known}))
