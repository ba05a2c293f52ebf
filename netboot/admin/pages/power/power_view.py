"""What the page of a host shows of the power of its machine. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netboot.model.host.host import Host
from netboot.model.power.power import IntentState, PowerIntent
from netboot.model.words import printable
from netboot.operate.power.power_request import HostPower

NEWEST: Final = 5  # actions on the page
_KINDS: Final = {
    IntentState.DONE: "green",
    IntentState.INCOMPLETE: "amber",
    IntentState.FAILED: "red",
    IntentState.UNKNOWN: "red",
}


@dataclass(frozen=True, slots=True)
class IntentRow:
    """One power action that was requested."""

    at: datetime
    action: str
    state: str
    colour: str
    actor: str
    detail: str


@dataclass(frozen=True, slots=True)
class PowerView:
    """The panel. `url`: of the form that reads the state; `bmc`: where the BMC is, empty without one."""

    url: str
    bmc: str
    credentials_url: str
    state: str
    progress: str
    read_at: datetime | None
    fault: str
    rows: tuple[IntentRow, ...]


@dataclass(frozen=True, slots=True)
class CredentialsView:
    """The form. `faults`: why the last request was refused."""

    name: str
    url: str
    bmc: str
    certificate: str
    username: str = ""
    faults: tuple[str, ...] = ()


def power_view(host: Host, power: HostPower, url: str) -> PowerView:
    """Show the power of a host whose page is `url`."""
    observed = power.observed
    return PowerView(
        f"{url}/power",
        host.bmc.url if host.bmc is not None else "",
        f"{url}/bmc",
        observed.state if observed is not None else "",
        printable(observed.progress or "") if observed is not None else "",
        observed.at if observed is not None else None,
        printable(observed.fault or "") if observed is not None else "",
        tuple(map(_row, power.intents[:NEWEST])),
    )


def _row(intent: PowerIntent) -> IntentRow:
    how = f" ({intent.network_boot})" if intent.network_boot is not None else ""
    return IntentRow(
        intent.requested_at,
        intent.action + how + (", forced" if intent.is_forced else ""),
        intent.state,
        _KINDS.get(intent.state, ""),
        intent.actor.name,
        printable(intent.detail),
    )
