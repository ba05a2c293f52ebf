"""The audit trail: one event for each change that an operator requests, whether it is done or refused.

Arming and cancelling have a line in the host's history instead, with the same actor and source.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from netboot.errors import NetbootError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.words import first_line


class AuditTrail:
    """Records changes among the events."""

    def __init__(self, events: EventBus) -> None:
        self._events = events

    @contextmanager
    def change(self, action: str, actor: Actor, *, subject: str = "") -> Iterator[None]:
        """Record the change that the block makes, at its end; one that raises NetbootError is recorded as refused."""
        try:
            yield
        except NetbootError as error:
            self._record(action, actor, subject, refusal=first_line(str(error)))
            raise
        self._record(action, actor, subject, refusal=None)

    def _record(self, action: str, actor: Actor, subject: str, *, refusal: str | None) -> None:
        data = {"action": action, "subject": subject or None, "actor": actor.name, "source": actor.source.value}
        data |= {"outcome": "refused" if refusal else "done", "reason": refusal}
        level = logging.WARNING if refusal else logging.INFO
        self._events.emit("audit.recorded", data, level=level)
