"""Records what a daemon that was killed has stored of power actions and not recorded: each event is written later."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Final

from netboot.events.activity import ActivityFilter, ActivityLog
from netboot.events.event_log import KEPT
from netboot.model.power.power import PowerIntent
from netboot.operate.power.power_sender import PowerSender

EXAMINED: Final = 1_000  # the newest intents: only those of the last moments can lack an event
_ENDS: Final = frozenset({"power.ended", "power.failed"})


async def record_lost(
    sender: PowerSender, activity: ActivityLog, *, others: Collection[str] = (), before: datetime
) -> None:
    """Record each request and each end of an intent that has no event. Raises StoreError.

    `others`: the appliances that run beside this one, and record theirs themselves; so does this one those from
    `before` on.
    """
    kept = await sender.intents.latest(EXAMINED, without=others)
    await record_lost_of(sender, activity, kept, before=before)


async def record_lost_of(
    sender: PowerSender, activity: ActivityLog, kept: Sequence[PowerIntent], *, before: datetime
) -> None:
    """Record what these intents, the newest first, lack, as `record_lost` does. Raises StoreError."""
    oldest_at = await activity.oldest_at()  # the events of earlier intents may have been deleted
    earlier = (each for each in kept if each.requested_at < before)
    at_risk = [each for each in earlier if oldest_at is None or each.requested_at >= oldest_at]
    if not at_risk:
        return
    recorded = {found async for found in _recorded(activity, at_risk)}
    for intent in reversed(at_risk):
        if ("power.requested", intent.id) not in recorded:
            sender.record_request(intent)
        is_earlier = intent.ended_at is not None and intent.ended_at < before
        if is_earlier and not any((name, intent.id) in recorded for name in _ENDS):
            sender.record_end(intent, is_late=True)


async def _recorded(activity: ActivityLog, intents: Sequence[PowerIntent]) -> AsyncIterator[tuple[str, object]]:
    """Yield the name and the intent of each stored event that may be of one of these intents."""
    times = (at for each in intents for at in (each.requested_at, each.ended_at) if at is not None)
    since = min(times)  # an end is before its request if the clock was set back
    async for events in activity.all(ActivityFilter(event="power.*", since=since), most=KEPT):
        for event in events:
            yield event.name, event.data.get("intent")
