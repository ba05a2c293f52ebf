"""What an operator requests of the power of hosts, why it is refused, and what is known of a machine's power. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from netboot.errors import NetbootError
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.host.host import Host, HostName
from netboot.model.install.install import Install, InstallEvent, InstallState, Move
from netboot.model.power.power import PowerAction, PowerIntent, PowerState
from netboot.model.power.refusal import refusal
from netboot.operate.selection import EVERY_HOST, HostSelection

WRITING: Final = timedelta(hours=1)  # that an installer may write its disk

UNPROVED: Final = frozenset({InstallState.OFFERED, InstallState.LOADING, InstallState.FAILED})  # perhaps
_SERVED: Final = frozenset({InstallEvent.SCRIPT_SENT, InstallEvent.ATTEMPTS_SPENT})
_UNPROVED: Final = _SERVED | frozenset({InstallEvent.OFFER_SENT})

Reasons = Mapping[HostName, Sequence[str]]


@dataclass(frozen=True, slots=True)
class PowerRequest:
    """An action on hosts, on all of them or none; without names, on those of the selection.

    `network_boot`: of `pxe`; None: what the host declares, else PXE. `id`: of the intent of a single host, by a caller
    that stored it before and may repeat its request after a restart.
    """

    hosts: Sequence[str]
    action: PowerAction
    network_boot: NetworkBoot | None = None
    is_forced: bool = False
    selection: HostSelection = EVERY_HOST
    id: str = ""

    def network_boot_of(self, host: Host) -> NetworkBoot | None:
        """Return how a host boots from the network after this action; None: as it is set."""
        if self.action is not PowerAction.PXE:
            return None
        declared = host.bmc.network_boot if host.bmc is not None else None
        return self.network_boot or declared or NetworkBoot.PXE


@dataclass(frozen=True, slots=True)
class ObservedPower:
    """What the BMC of a host reported last, or why it did not. `progress`: `BootProgress.LastState` of Redfish."""

    host: HostName
    state: PowerState
    at: datetime
    progress: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class PossibleAction:
    """One action on a host. `reasons`: why it is refused now. `is_forcible`: `force` overrides all of them."""

    action: PowerAction
    reasons: Sequence[str] = ()
    is_forcible: bool = False


@dataclass(frozen=True, slots=True)
class HostPower:
    """The power of a host's machine; `observed` is None if it was not read since the daemon started."""

    host: HostName
    has_bmc: bool
    observed: ObservedPower | None
    actions: Sequence[PossibleAction]
    intents: Sequence[PowerIntent] = field(default=())  # the newest first


class PowerRefusedError(NetbootError):
    """A power action that is refused, with every reason of each host. `is_forcible`: --force requests it anyway."""

    code = "power-refused"

    def __init__(self, action: PowerAction, reasons: Reasons, *, is_forcible: bool) -> None:
        self.reasons, self.is_forcible = reasons, is_forcible
        lines = [f"cannot power {action}: {reason}" for found in reasons.values() for reason in found]
        cure = "; correct this, or request it anyway with --force" if is_forcible else ""
        super().__init__("\n".join([*lines, f"nothing was requested{cure}"]))


def no_bmc(host: HostName) -> str:
    """Return the sentence for a host without a BMC."""
    return f"no BMC is declared for {host}; set hosts.{host}.bmc, or press its power button"


def under_way(intent: PowerIntent) -> str:
    """Return why a host with an open intent gets no other one."""
    by = f"requested by {intent.actor.name} at {intent.requested_at:%H:%M:%S}"
    return f"power {intent.action} of {intent.host}, {by}, has not ended; netboot power status {intent.host}"


def judged_install(install: Install, moves: Sequence[Move], *, now: datetime) -> Install:
    """Return an install as power actions judge it: by the last state that a report with a token of the host shows.

    Anybody on the boot LAN can request an offer and a script with the MAC of an armed host, until its boots are spent:
    what that leads to counts only for a host that was armed anew. A disk may be written for `WRITING` after the report
    that it is, and a disk counts as installed until an arming whose installer was served. `moves`: the history of the
    host, oldest first.
    """
    shown, since = install.state, now
    is_served = is_renewed = False
    for move in reversed(moves):
        if move.what == "armed" and install.is_armed:
            return install
        is_served = is_served or move.what in _SERVED
        is_renewed = is_renewed or (is_served and move.what == "armed")
        if move.before is move.after:
            continue
        since = move.at
        if move.what not in _UNPROVED:
            break
        shown = move.before
    is_first_boot = shown is InstallState.INSTALLED and not is_renewed
    is_writing = shown is InstallState.INSTALLING and now - since < WRITING
    return replace(install, state=shown) if is_writing or is_first_boot else install


def possible_action(
    action: PowerAction,
    host: Host,
    install: Install,
    open_intent: PowerIntent | None,
    *,
    shown: InstallState | None = None,
    unusable: Sequence[str] = (),
) -> PossibleAction:
    """Judge an action on a host by its judged install; `shown`: the state that it is judged from.

    `open_intent` is the one that has not ended, `unusable` what else prevents the action.
    """
    if host.bmc is None:
        return PossibleAction(action, [no_bmc(host.name)])
    binding = [*([under_way(open_intent)] if open_intent is not None else []), *unusable]
    why = refusal(action, install, shown=shown)
    reasons = [*binding, *([why] if why is not None else [])]
    return PossibleAction(action, reasons, is_forcible=bool(reasons) and not binding)
