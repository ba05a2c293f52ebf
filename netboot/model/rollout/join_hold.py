"""Whether a host may get the Ignition file of its role now, by the rollout that it was in last. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from netboot.model.rollout.rollout import Phase, RolloutHost


class JoinState(StrEnum):
    FREE = "free"  # no rollout holds it
    HELD = "held"
    PERMITTED = "permitted"  # it may get the bytes of its permit


@dataclass(frozen=True, slots=True)
class JoinHold:
    """The row of a host in its newest rollout; `is_active`: that of the rollout."""

    rollout: int
    host: RolloutHost
    is_active: bool

    def state(self, ignition_sha256: str | None, now: datetime) -> JoinState:
        """Return whether a host with this token may join. One that failed or was cancelled stays held until it is
        installed anew, which gives it another token.
        """
        if self.host.phase is Phase.READY:
            return JoinState.FREE
        if not self.is_active or self.host.is_over:
            is_same = self.host.ignition_sha256 is not None and self.host.ignition_sha256 == ignition_sha256
            return JoinState.HELD if is_same else JoinState.FREE
        permit = self.host.permit
        is_permitted = self.host.phase is Phase.JOINING and permit is not None and permit.is_valid(now)
        return JoinState.PERMITTED if is_permitted else JoinState.HELD
