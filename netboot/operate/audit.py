"""The audit trail: one event for each change that an operator requests, whether it is done or refused.

Arming and cancelling have a line in the host's history instead, with the same actor and source.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from netboot.errors import NetbootError
from netboot.events.event_bus import EventBus
from netboot.model.actor import Actor
from netboot.model.words import first_line, one_line


@contextmanager
def audited(events: EventBus, action: str, actor: Actor, *, subject: str = "") -> Iterator[None]:
    """Record the change that the block makes, at its end; one that raises NetbootError is recorded as refused."""
    data = {"action": action, "subject": one_line(subject) or None, "actor": actor.name, "source": actor.source.value}
    try:
        yield
    except NetbootError as error:
        refused = {**data, "outcome": "refused", "reason": first_line(str(error))}
        events.emit("audit.recorded", refused, level=logging.WARNING)
        raise
    events.emit("audit.recorded", {**data, "outcome": "done", "reason": None})
