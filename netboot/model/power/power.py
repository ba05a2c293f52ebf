"""Power of one machine: its states, what an operator requests, and the intent that is stored before a BMC acts.

No clock, no I/O. An intent is `requested` until its reset is sent: what comes before, as the one-time network boot, has
the same effect when it is done again. `sending` is stored immediately before the reset, which is sent once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from netboot.errors import TransitionError
from netboot.model.actor import Actor
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.host.host import HostName


class PowerState(StrEnum):
    """What a BMC reports of its machine."""

    ON = "on"
    OFF = "off"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    UNKNOWN = "unknown"  # the BMC reports none, or one that Redfish does not have


class ResetAction(StrEnum):
    """What a BMC does to the power of its machine. The types of reset that it is sent for it are its quirks."""

    ON = "on"
    OFF = "off"  # at once: the operating system is not shut down
    CYCLE = "cycle"  # a machine that is on restarts at once


class PowerAction(StrEnum):
    """What an operator requests for a machine."""

    ON = "on"
    OFF = "off"
    CYCLE = "cycle"
    PXE = "pxe"  # set the one-time network boot, then power on, or restart a machine that is on

    @property
    def wanted(self) -> PowerState | None:
        """The state that shows that it was done; None: no state shows it."""
        return _WANTED.get(self)

    def reset(self, state: PowerState) -> ResetAction | None:
        """Return what does this to a machine in `state`; None: nothing is to be done.

        `unknown` is no reason to do nothing, and only a machine that is known to be off is powered on by a restart.
        """
        is_on = state in {PowerState.ON, PowerState.POWERING_ON}
        is_off = state in {PowerState.OFF, PowerState.POWERING_OFF}
        match self:
            case PowerAction.ON:
                return None if is_on else ResetAction.ON
            case PowerAction.OFF:
                return None if is_off else ResetAction.OFF
            case PowerAction.CYCLE | PowerAction.PXE:
                return ResetAction.ON if is_off else ResetAction.CYCLE


_WANTED: Final = {PowerAction.ON: PowerState.ON, PowerAction.OFF: PowerState.OFF}


class IntentState(StrEnum):
    REQUESTED = "requested"  # no reset was sent
    SENDING = "sending"  # the reset may have been sent
    DONE = "done"  # the BMC has accepted it, or nothing was to be done
    INCOMPLETE = "incomplete"  # the reset was sent; before the machine boots as requested, something remains to be done
    FAILED = "failed"  # it was not done
    UNKNOWN = "unknown"  # netboot ended while it sent the reset: it was done, or not
    CANCELLED = "cancelled"  # before anything was sent


I = IntentState  # noqa: E741  as `S` and `E` of installs

INTENT_MOVES: Final[Mapping[IntentState, frozenset[IntentState]]] = {
    I.REQUESTED: frozenset({I.SENDING, I.DONE, I.FAILED, I.CANCELLED}),
    I.SENDING: frozenset({I.DONE, I.INCOMPLETE, I.FAILED, I.UNKNOWN}),
    I.DONE: frozenset(),
    I.INCOMPLETE: frozenset(),
    I.FAILED: frozenset(),
    I.UNKNOWN: frozenset(),
    I.CANCELLED: frozenset(),
}
OPEN_STATES: Final = frozenset({I.REQUESTED, I.SENDING})


@dataclass(frozen=True, slots=True)
class PowerIntent:
    """One power action on one host. `owner`: the appliance that sends it; empty: none has claimed it.

    `detail`: why it has this end. `uri`: what is written into the firmware before, with `http-uri`.
    """

    id: str
    host: HostName
    action: PowerAction
    actor: Actor
    requested_at: datetime
    network_boot: NetworkBoot | None = None  # of `pxe`
    uri: str | None = None
    is_forced: bool = False
    state: IntentState = IntentState.REQUESTED
    owner: str = ""
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    detail: str = ""

    @property
    def is_open(self) -> bool:
        """Return whether it has no end yet: the host gets no other one before."""
        return self.state in OPEN_STATES

    def moved(self, state: IntentState, *, at: datetime, detail: str = "") -> "PowerIntent":
        """Return this intent in `state`; raise TransitionError if the table has no such move."""
        if state not in INTENT_MOVES[self.state]:
            raise TransitionError(f"power {self.action} of {self.host} is {self.state}: it does not become {state}")
        return replace(
            self,
            state=state,
            sent_at=at if state is I.SENDING else self.sent_at,
            ended_at=None if state in OPEN_STATES else at,
            detail=detail,
        )
