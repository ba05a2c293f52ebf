"""What a hook gets of an event: one JSON object, the same bytes at each attempt, under an id of the event."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from netboot.model.install.event import Event, event_fields
from netboot.model.urls import page_of_host


@dataclass(frozen=True, slots=True)
class HookMessage:
    """`body` is JSON. The id is that of the event: attempts and hooks have the same, other appliances another."""

    body: str

    @property
    def id(self) -> str:
        """Return the id, which has no full stop: the signed text is ID.TIMESTAMP.BODY."""
        return f"evt_{hashlib.sha256(self.body.encode()).hexdigest()[:32]}"


def message_of(event: Event, appliance: str, *, public_url: str | None = None) -> HookMessage:
    """Write an event of an appliance as the API shows it; bytes in a name that are not UTF-8 become `?`.

    With the appliance's URL, an event of a host has the URL of its page.
    """
    fields = {**event_fields(event), "appliance": appliance}
    if public_url is not None and event.host is not None:
        fields["page"] = page_of_host(public_url, event.host)
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return HookMessage(text.encode("utf-8", "replace").decode())


def message_of_test(hook: str, at: datetime, appliance: str) -> HookMessage:
    """Make the message of `netboot hooks test`; no stored event has its id, 0."""
    return message_of(Event("hooks.tested", at, data={"hook": hook}), appliance)
