"""Which boot variant each machine's firmware is offered: judges each boot at its end, reports, stores.

The rules are in `boot.firmware.reply_variants`; this applies them to machines. In memory, with `boot.machines_seen`; a
variant that led a machine to its script is stored with the machine, so that it comes first after a restart.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from netboot.boot.firmware.reply_variants import (
    BootTrace,
    Choices,
    DeadEnd,
    Learned,
    Moved,
    Verdict,
    Verified,
    choices_for,
    judge,
    reached,
)
from netboot.boot.machines_seen import SeenMachine
from netboot.events.event_log import EventLog
from netboot.model.boot.boot_client import BootClient, Stage
from netboot.model.boot.offer import Offer, OfferKind, Policy
from netboot.model.host.firmware import BootVariant
from netboot.model.host.host import Host
from netboot.model.install.event import Event
from netboot.store.machines import Machines


class VariantLearning:
    """The only place that changes a machine's boot variant."""

    def __init__(self, events: EventLog, machines: Machines, *, now: Callable[[], datetime]) -> None:
        self._events = events
        self._machines = machines
        self._now = now

    def variant_for(
        self, seen: SeenMachine, client: BootClient, host: Host | None, *, policy: Policy, now_s: float
    ) -> BootVariant | None:
        """Return the variant of this boot; None: the first. Judges the previous boot, where one has just ended."""
        if client.stage is not Stage.FIRMWARE:
            return None
        ended, seen.ended = seen.ended, None
        if ended is not None and ended.client is not None:
            self._judge(seen, ended, host, policy=policy, now_s=now_s)
        return seen.learned_of(client).variant

    def offered(self, seen: SeenMachine, client: BootClient, offer: Offer) -> None:
        """Record what a firmware was offered."""
        if client.stage is Stage.FIRMWARE:
            is_loader = offer.kind is OfferKind.LOADER
            seen.trace.client = client
            seen.trace.variant = BootVariant(offer.variant, offer.boot_file) if is_loader else None

    def reached_script(self, seen: SeenMachine, host: Host | None, policy: Policy) -> None:
        """Record that a machine requested its script, as iPXE or as GRUB."""
        trace = seen.trace
        if trace.reached_script:
            return
        trace.reached_script = True
        if trace.client is None or trace.variant is None:
            return
        choices = choices_for(trace.client, host, policy)
        if isinstance(choices, Choices):
            learned, news = reached(seen.learned_of(trace.client), trace.variant, choices)
            self._learn(seen, trace.client, learned, news, host=host)

    def _judge(self, seen: SeenMachine, trace: BootTrace, host: Host | None, *, policy: Policy, now_s: float) -> None:
        assert trace.client is not None
        choices = choices_for(trace.client, host, policy)
        if not isinstance(choices, Choices):
            return
        is_pinned = host is not None and (host.loader is not None or host.firmware is not None)
        known = seen.learned_of(trace.client)
        learned, verdict = judge(known, trace, choices, now_s=now_s, is_pinned=is_pinned)
        if learned is not known:
            self._learn(seen, trace.client, learned, verdict, host=host)

    def _learn(
        self, seen: SeenMachine, client: BootClient, learned: Learned, news: Verdict | None, *, host: Host | None
    ) -> None:
        seen.learn(client, learned)
        match news:
            case None:
                return
            case Moved(reason, before, after):
                moved = {"reason": reason.value, "from": str(before), "to": str(after)}
                self._emit("boot.variant_changed", seen, host, logging.WARNING, moved)
            case DeadEnd(reason, variant, cure):
                data = {"reason": reason.value, "variant": str(variant), "cure": cure}
                self._emit("boot.dead_end_met", seen, host, logging.ERROR, data)
                self._remember(seen, client, None)
            case Verified(variant):
                self._emit("boot.variant_learned", seen, host, logging.INFO, {"variant": str(variant)})
                self._remember(seen, client, variant)
            case _:
                assert_never(news)

    def _remember(self, seen: SeenMachine, client: BootClient, variant: BootVariant | None) -> None:
        variants = {name: kept for name, kept in seen.machine.variants.items() if name != client.firmware}
        if variant is not None:
            variants[client.firmware] = str(variant)
        if variants != seen.machine.variants:
            seen.machine = replace(seen.machine, variants=variants)
            self._machines.keep(seen.machine)

    def _emit(self, event: str, seen: SeenMachine, host: Host | None, level: int, data: dict[str, str]) -> None:
        name = host.name if host else None
        self._events.record(Event(event, self._now(), name, seen.mac, None, data), level=level)
