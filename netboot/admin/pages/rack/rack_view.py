"""What the first page shows, made from all hosts: counts, what needs attention, the table. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netboot.admin.pages.actions.action_urls import LABELS, host_url
from netboot.admin.pages.attention_row import AttentionRow
from netboot.admin.pages.rack.rack_filter import ARMED, RackFilter
from netboot.admin.pages.updates.updates_views import UPDATES_PATH, UpdateAttention
from netboot.model.boot.causes.cause import CauseSeverity
from netboot.model.boot.expected_durations import usual_text
from netboot.model.install.install import InstallState
from netboot.operate.actions.host_verbs import POWER_ACTIONS, HostVerb
from netboot.operate.rack.rack_overview import Rack
from netboot.operate.rack.rack_row import Attention, HostRow

MOST_ATTENTION: Final = 25  # rows; a link shows the hosts of all
_COLUMNS: Final = (
    ("name", "Name"),
    ("role", "Role"),
    ("state", "State"),
    ("since", "Since"),
    ("address", "Address"),
    ("mac", "MAC"),
    ("model", "Model, serial"),
    ("port", "Switch port"),
    ("event", "Last event"),
)
BULK: Final = (
    HostVerb.ARM,
    HostVerb.CONFIRM,
    HostVerb.CANCEL,
    HostVerb.INSPECT,
    HostVerb.RESCUE,
    HostVerb.CANCEL_RESCUE,
    HostVerb.RETIRE,
    HostVerb.REMOVE,
)


@dataclass(frozen=True, slots=True)
class CountLink:
    """How many hosts are in a state, and the URL that shows them."""

    label: str
    count: int
    url: str
    is_current: bool
    kind: str  # state, armed, attention or all


@dataclass(frozen=True, slots=True)
class ColumnLink:
    """The head of a column: the URL that sorts by it. `aria_sort`: ascending, descending, or none of both."""

    label: str
    url: str
    aria_sort: str | None


@dataclass(frozen=True, slots=True)
class BulkButton:
    """An action for the selected hosts."""

    label: str
    url: str
    is_dangerous: bool


@dataclass(frozen=True, slots=True)
class RackView:
    """The page."""

    counts: Sequence[CountLink]
    attention: Sequence[AttentionRow]
    attention_left_out: int
    columns: Sequence[ColumnLink]
    rows: Sequence[HostRow]
    total: int
    filter: RackFilter
    roles: Sequence[str]
    groups: Sequence[str]
    labels: Sequence[str]
    buttons: Sequence[BulkButton]
    problems: Sequence[str]
    warnings: Sequence[str]
    store_fault: str | None

    @property
    def is_running(self) -> bool:
        """Whether a boot runs, so that the page is fetched again soon."""
        return any(row.boot is not None for row in self.rows)


def rack_view(
    rack: Rack, wanted: RackFilter, updates: Iterable[UpdateAttention] = (), rollout: Iterable[AttentionRow] = ()
) -> RackView:
    """Make the page of a filter; `updates` and `rollout` are what of them needs attention."""
    rows = rack.rows
    attention = _attention(rack, updates, rollout)
    bulk = [*BULK, *(POWER_ACTIONS if any(row.host.bmc is not None for row in rows) else ())]
    return RackView(
        _counts(rows, wanted),
        attention[:MOST_ATTENTION],
        max(0, len(attention) - MOST_ATTENTION),
        [_column(key, label, wanted) for key, label in _COLUMNS],
        wanted.applied(rows),
        len(rows),
        wanted,
        sorted({row.host.role.value for row in rows}),
        sorted({group for row in rows for group in row.host.groups}),
        sorted({f"{key}={value}" for row in rows for key, value in row.host.labels.items()}),
        [BulkButton(LABELS[verb], f"/installs/{verb}", verb in _REMOVALS) for verb in bulk],
        rack.problems,
        rack.warnings,
        rack.store_fault,
    )


def usual(row: HostRow) -> str:
    """Describe what is expected of the step that a boot waits for."""
    if row.wait is None:
        return ""
    expected = row.wait.wait.expected
    return usual_text(expected.median_s, expected.limit_s, expected.boots)


_REMOVALS: Final = frozenset({HostVerb.RETIRE, HostVerb.REMOVE})


def _counts(rows: Sequence[HostRow], wanted: RackFilter) -> list[CountLink]:
    """Count the hosts by state, without the states that none has."""
    by_state = Counter(row.install.state for row in rows)
    found = [CountLink("hosts", len(rows), wanted.url(state="", attention=""), wanted.is_all, "all")]
    if attention := sum(row.attention is not None for row in rows):
        url = wanted.url(attention="1", state="")
        found.append(CountLink("need attention", attention, url, bool(wanted.attention), "attention"))
    if armed := sum(row.install.is_armed for row in rows):
        found.append(_state_link(ARMED, armed, wanted))
    return [*found, *(_state_link(state, by_state[state], wanted) for state in InstallState if by_state[state])]


def _state_link(state: str, count: int, wanted: RackFilter) -> CountLink:
    is_current, kind = wanted.state == state, ARMED if state == ARMED else "state"
    return CountLink(state, count, wanted.url(state="" if is_current else state, attention=""), is_current, kind)


def _column(key: str, label: str, wanted: RackFilter) -> ColumnLink:
    if wanted.sort != key:
        return ColumnLink(label, wanted.url(sort=key, order=""), None)
    is_descending = wanted.order == "desc"
    url = wanted.url(order="" if is_descending else "desc")
    return ColumnLink(label, url, "descending" if is_descending else "ascending")


def _attention(rack: Rack, updates: Iterable[UpdateAttention], rollout: Iterable[AttentionRow]) -> list[AttentionRow]:
    """List what needs attention: errors first, then what is overdue, each the longest first; then the updates."""
    found = [*(_row(row) for row in rack.rows if row.attention is not None), *rollout]
    found.sort(key=lambda row: (not row.is_error, row.since.timestamp() if row.since else math.inf, row.subject))
    return [*found, *map(_update_row, updates), *_unregistered(rack.unregistered)]


def _unregistered(count: int) -> Iterable[AttentionRow]:
    if count:
        what = "1 machine" if count == 1 else f"{count} machines"
        sentence = (
            "requested a boot, and no host has this MAC"
            if count == 1
            else "requested a boot, and no host has their MACs"
        )
        yield AttentionRow("machines", what, "/machines", sentence, "", False, None, "Approve", "/machines")


def _update_row(update: UpdateAttention) -> AttentionRow:
    subject, url = update.subject, update.url
    return AttentionRow(
        update.key, subject, url, update.sentence, update.cure, False, None, "Show the updates", UPDATES_PATH
    )


def _row(row: HostRow) -> AttentionRow:
    name, url = row.host.name, host_url(row.host.name)
    sentence, cure, since = _sentence(row)
    is_error = row.cause is not None and row.cause.severity is CauseSeverity.ERROR
    can_arm = row.install.state is InstallState.FAILED
    label, target = ("Arm again", host_url(name, HostVerb.ARM)) if can_arm else (f"Show {name}", url)
    if row.install.hold is not None:
        label, target = "Confirm or cancel", url
    return AttentionRow(name, name, url, sentence, cure, is_error, since, label, target)


def _sentence(row: HostRow) -> tuple[str, str, datetime | None]:
    match row.attention, row.cause, row.wait:
        case Attention.CAUSE, cause, _ if cause is not None:
            return cause.sentence, cause.cure, cause.since
        case Attention.OVERDUE, _, wait if wait is not None:
            return f"{row.host.name} waits for {row.waited_for}, which is overdue ({usual(row)})", "", wait.wait.since
        case _:
            return "; ".join(row.host.faults), "", row.install.changed_at
