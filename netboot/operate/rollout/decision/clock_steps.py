"""What a step of the clock changes of a rollout: its times become those of the new clock, so that no limit ends by it.

Pure. The ends of secrets are not changed: they are counted from the same clock as the files.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from netboot.model.rollout.command import RolloutCommand
from netboot.model.rollout.rollout import Rollout, RolloutHost

SMALLEST: Final = timedelta(seconds=10)  # a smaller step ends no limit


@dataclass(frozen=True, slots=True)
class ReadClock:
    """The time of day, and the seconds of a clock that is never set."""

    at: datetime
    monotonic_s: float


def after_step(rollout: Rollout, before: ReadClock, now: ReadClock) -> Rollout:
    """Return a rollout with times of the clock as it was set since `before`; as it is, if it was not set."""
    passed = timedelta(seconds=now.monotonic_s - before.monotonic_s)
    step = now.at - before.at - passed
    if abs(step) < SMALLEST:
        return rollout

    def moved(at: datetime | None) -> datetime | None:
        if at is None:
            return None
        if step < timedelta(0):
            return min(at, now.at)
        return at + step if at <= before.at else at

    def host(each: RolloutHost) -> RolloutHost:
        return replace(each, changed_at=moved(each.changed_at), served_at=moved(each.served_at))

    def command(each: RolloutCommand) -> RolloutCommand:
        return replace(each, ended_at=moved(each.ended_at), next_at=moved(each.next_at))

    commands = {kind: command(each) for kind, each in rollout.commands.items()}
    return replace(rollout, hosts=tuple(map(host, rollout.hosts)), commands=commands)
