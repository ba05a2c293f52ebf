"""Chooses the boot variant for each machine's firmware: evaluates each boot at its end, reports, stores.

The rules are in `boot.firmware.learning_states`; this applies them to machines. In memory, with `boot.machines_seen`.
If the variant that led a machine to its script is not the first, it is stored and survives a restart.
"""

import logging
from dataclasses import dataclass, replace
from typing import assert_never

from netboot.boot.firmware.learning_states import DeadEnd, Moved, Verdict, Verified, judge
from netboot.boot.firmware.reply_variants import BootTrace, Choices, choices_for
from netboot.boot.sessions.machines_seen import SeenMachine, SeenMachines
from netboot.events.event_bus import EventBus
from netboot.model.boot.boot_client import BootClient
from netboot.model.boot.offer import Policy
from netboot.model.host.firmware import BootVariant
from netboot.model.host.host import Host


@dataclass(frozen=True, slots=True)
class VariantLearning:
    """The only place that changes a machine's boot variant."""

    seen: SeenMachines
    events: EventBus

    def judge_ended(self, seen: SeenMachine, host: Host | None, *, policy: Policy, now_s: float) -> None:
        """Learn from the previous boot, if one has ended and was not evaluated yet."""
        ended, seen.ended = seen.ended, None
        if ended is not None:
            self._judge(seen, ended, host, policy=policy, now_s=now_s)

    def record_script(self, seen: SeenMachine, host: Host | None, *, policy: Policy, now_s: float) -> None:
        """Record that a machine requested its script, as iPXE or as GRUB, and learn from it."""
        trace = seen.boot.trace
        if not trace.reached_script:
            trace.reached_script = True
            self._judge(seen, trace, host, policy=policy, now_s=now_s)

    def _judge(self, seen: SeenMachine, trace: BootTrace, host: Host | None, *, policy: Policy, now_s: float) -> None:
        if trace.client is None:
            return
        choices = choices_for(trace.client, host, policy)
        if not isinstance(choices, Choices):
            return
        is_pinned = host is not None and (host.loader is not None or host.firmware is not None)
        known = seen.learned_of(trace.client)
        learned, verdict = judge(known, trace, choices, now_s=now_s, is_pinned=is_pinned)
        seen.learned[trace.client.firmware] = learned
        self._report(seen, trace.client, verdict, host)

    def _report(self, seen: SeenMachine, client: BootClient, verdict: Verdict | None, host: Host | None) -> None:
        match verdict:
            case None:
                return
            case Moved(reason, before, after):
                moved = {"reason": reason.value, "from": str(before), "to": str(after)}
                self.events.emit("boot.variant_changed", moved, host=host, mac=seen.mac, level=logging.WARNING)
            case DeadEnd(reason, variant, cure):
                data = {"reason": reason.value, "variant": str(variant), "cure": cure}
                self.events.emit("boot.dead_end_met", data, host=host, mac=seen.mac, level=logging.ERROR)
                self._remember(seen, client, None)
            case Verified(variant) if seen.machine.variants.get(client.firmware) == str(variant):
                return
            case Verified(variant):
                self.events.emit("boot.variant_learned", {"variant": str(variant)}, host=host, mac=seen.mac)
                self._remember(seen, client, variant)
            case _:
                assert_never(verdict)

    def _remember(self, seen: SeenMachine, client: BootClient, variant: BootVariant | None) -> None:
        variants = {name: kept for name, kept in seen.machine.variants.items() if name != client.firmware}
        if variant is not None:
            variants[client.firmware] = str(variant)
        if variants != seen.machine.variants:
            self.seen.keep(seen, replace(seen.machine, variants=variants))
