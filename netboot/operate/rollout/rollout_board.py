"""What the page of rollouts shows: the active rollout, what may be requested of it now, and the one before. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from netboot.errors import RolloutError
from netboot.model.host.host import HostName
from netboot.model.host.role_ignition import RoleUse
from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.rollout import Rollout
from netboot.operate.rollout.decision import outcomes
from netboot.operate.rollout.rollout_status import RolloutStatus


@dataclass(frozen=True, slots=True)
class RolloutRefusals:
    """Why a change of the active rollout is refused now, in the sentences of the API; None: it may be requested.

    `cancel_hosts` and `retry_hosts` have the hosts for which it is refused.
    """

    pause: str | None
    resume: str | None
    confirm: str | None
    cancel_hosts: Mapping[HostName, str]
    retry_hosts: Mapping[HostName, str]

    @classmethod
    def of(cls, rollout: Rollout) -> "RolloutRefusals":
        """Judge every change of an active rollout."""
        return cls(
            _refusal(lambda: outcomes.paused(rollout, "")),
            _refusal(lambda: outcomes.resumed(rollout)),
            _refusal(lambda: outcomes.confirmable(rollout)),
            {each.host: why for each in rollout.hosts if (why := outcomes.cancel_refusal(each))},
            {each.host: why for each in rollout.hosts if (why := outcomes.full_retry_refusal(rollout, each))},
        )


@dataclass(frozen=True, slots=True)
class RolloutBoard:
    """`refusals` are of `active`; None: no rollout is active. `ended`: the one that ended last.

    `deadlines`: when the first secret of the file of a use ends. `commands`: the configured argument lists.
    """

    active: RolloutStatus | None
    refusals: RolloutRefusals | None
    ended: RolloutStatus | None
    deadlines: Mapping[RoleUse, datetime]
    commands: Mapping[CommandKind, Sequence[str]]


def _refusal(request: Callable[[], object]) -> str | None:
    try:
        request()
    except RolloutError as error:
        return str(error)
    return None
