"""Queues events for the hooks that select them, in the transaction that stores the events."""

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from netboot.model.hook import Hook
from netboot.model.install.event import Event
from netboot.operate.hooks.delivery_queue import Delivery, add_deliveries
from netboot.operate.hooks.hook_message import HookMessage, message_of
from netboot.store.changes.notification import Changed, notify

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class HookOutbox:
    """The hooks in force; the event log's `Outbox`. `grown` is set when there may be a delivery to begin."""

    def __init__(self, hooks: Sequence[Hook], *, appliance: str, public_url: str | None = None) -> None:
        self.hooks = tuple(hooks)
        self.appliance = appliance
        self._public_url = public_url
        self.grown = asyncio.Event()
        self._has_added = False

    async def add(self, connection: "AsyncConnection", events: Sequence[Event]) -> None:
        """Queue events that are being stored."""
        deliveries = [
            Delivery(hook.name, event.id, event.host or event.mac or "", event.at, self._message(event).body)
            for event in events
            for hook in self.hooks
            if hook.selects(event)
        ]
        if deliveries:
            await add_deliveries(connection, deliveries)
            await notify(connection, Changed.HOOK, {each.hook for each in deliveries})
            self._has_added = True

    def _message(self, event: Event) -> HookMessage:
        return message_of(event, self.appliance, public_url=self._public_url)

    async def read_changed(self, _hooks: Collection[str] | None) -> None:
        """Begin the deliveries of events that another appliance, or a command, has stored: one of all begins each."""
        self.grown.set()

    def notify(self) -> None:
        """Begin the deliveries of the events that are stored now."""
        if self._has_added:
            self._has_added = False
            self.grown.set()
