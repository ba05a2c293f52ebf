"""What the page shows of a rollout that has not begun: the form of its options, and its schedule as a chart. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from urllib.parse import urlencode

from netboot.admin.pages.actions.action_urls import host_url
from netboot.admin.pages.actions.confirmation import Confirmation, ConfirmedHost
from netboot.admin.pages.boots.boot_gantt import GanttBar, GanttTick, bar_of, ticks_of
from netboot.admin.pages.rollout.rollout_views import ROLLOUT_PATH
from netboot.model.host.host import HostName, HostSet
from netboot.model.install.install import Install
from netboot.model.rollout.command import REMOVAL
from netboot.model.rollout.rollout import MOST_HOSTS, MOST_PARALLEL
from netboot.model.words import printable, shown_left
from netboot.operate.actions.host_verbs import HostAction, HostVerb
from netboot.operate.rollout.decision.schedule import PlannedCommand, PlannedHost
from netboot.operate.rollout.new_rollout import RolloutRequest
from netboot.operate.rollout.rollout_uses import RolloutPlan

_IN_MINUTES_S: Final = 120
_FIELDS: Final = ("hosts", "max_parallel", "failure_budget", "no_power", "replace")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options as the query of the URL has them; an empty one is that of the settings."""

    hosts: str = ""  # names, between blanks or commas; empty: every host that is not ready
    max_parallel: str = ""
    failure_budget: str = ""
    no_power: str = ""  # 1
    replace: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Self:
        return cls(**{name: query[name].strip() for name in _FIELDS if query.get(name)})

    @property
    def url(self) -> str:
        """The URL of the page with these options."""
        pairs = {name: text for name in _FIELDS if (text := getattr(self, name))}
        return f"{ROLLOUT_PATH}?{urlencode(pairs)}" if pairs else ROLLOUT_PATH

    @property
    def fault(self) -> str | None:
        """Why the options are no request."""
        if not _is_number(self.max_parallel, 1, MOST_PARALLEL):
            return f"at a time is a whole number from 1 to {MOST_PARALLEL}"
        if not _is_number(self.failure_budget, 0, MOST_HOSTS):
            return f"the failure budget is a whole number from 0 to {MOST_HOSTS}"
        return None

    def request(self) -> RolloutRequest:
        """Return the request of options without a fault."""
        return RolloutRequest(
            self.hosts.replace(",", " ").split(),
            int(self.max_parallel) if self.max_parallel else None,
            int(self.failure_budget) if self.failure_budget else None,
            self.no_power != "1",
            self.replace or None,
        )


def _is_number(text: str, least: int, most: int) -> bool:
    if not text:
        return True
    return text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most


@dataclass(frozen=True, slots=True)
class PlanBar:
    """A part of a host's way. `kind`: install, wait or join."""

    kind: str
    bar: GanttBar


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One host, with when each part of its way would begin or end after the start."""

    host: PlannedHost
    url: str
    install: str
    installed: str
    join: str
    ready: str
    bars: Sequence[PlanBar]


@dataclass(frozen=True, slots=True)
class PlanCommandRow:
    """When a command would have ended, after the start. `text`: what removes a node; else empty."""

    command: PlannedCommand
    after: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class RolloutPlanView:
    """The plan. `faults`: why the last request was refused; `confirmation`: of the disks that the rollout wipes."""

    options: PlanOptions
    faults: Sequence[str] = ()
    plan: RolloutPlan | None = None
    rows: Sequence[PlanRow] = ()
    commands: Sequence[PlanCommandRow] = ()
    ticks: Sequence[GanttTick] = ()
    takes: str = ""
    confirmation: Confirmation | None = None
    refusals: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def wiped(self) -> Sequence[str]:
        """The hosts whose disks are written."""
        return [each.host.host for each in self.rows if each.host.install_at is not None]

    @classmethod
    def of(
        cls,
        options: PlanOptions,
        plan: RolloutPlan,
        hosts: HostSet,
        installs: Mapping[HostName, Install],
        *,
        began_at: datetime,
    ) -> Self:
        """Show a plan that would begin now; `hosts` are in force."""
        schedule = plan.schedule
        ends = [each for one in schedule.hosts for each in (one.installed_at, one.ready_at) if each is not None]
        span_s = max((_since(each, began_at) for each in ends), default=1.0)
        rows = [_row(each, began_at, max(span_s, 1.0)) for each in schedule.hosts]
        wiped = [each.host for each in schedule.hosts if each.install_at is not None]
        removal = {kind: printable(text) for kind, text in zip(REMOVAL, plan.removal, strict=False)}  # none: no node
        return cls(
            options,
            (),
            plan,
            rows,
            [PlanCommandRow(each, _after(each.at, began_at), removal.get(each.kind, "")) for each in schedule.commands],
            tuple(ticks_of(max(span_s, 1.0))),
            _about(_since(schedule.ends_at, began_at)) if schedule.ends_at is not None else "",
            _confirmation(wiped, hosts, installs),
            [printable(each) for each in plan.refusals],
            [printable(each) for each in plan.warnings],
        )


def _confirmation(names: Sequence[HostName], hosts: HostSet, installs: Mapping[HostName, Install]) -> Confirmation:
    """Return what is confirmed: that the disks of these hosts are wiped."""
    confirmed = [
        ConfirmedHost(host, installs.get(name) or Install(name), HostAction(name, HostVerb.ARM))
        for name in names
        if (host := hosts.get(name)) is not None
    ]
    return Confirmation(HostVerb.ARM, confirmed, ROLLOUT_PATH)


def _row(host: PlannedHost, began_at: datetime, span_s: float) -> PlanRow:
    return PlanRow(
        host,
        host_url(host.host),
        _after(host.install_at, began_at),
        _after(host.installed_at, began_at) if host.install_at is not None else "",
        _after(host.join_at, began_at),
        _after(host.ready_at, began_at),
        list(_bars(host, began_at, span_s)),
    )


def _bars(host: PlannedHost, began_at: datetime, span_s: float) -> Iterator[PlanBar]:
    parts = (
        ("install", host.install_at, host.installed_at),
        ("wait", host.installed_at, host.join_at),
        ("join", host.join_at, host.ready_at),
    )
    for kind, begin, end in parts:
        if begin is not None and end is not None and end > begin:
            yield PlanBar(kind, bar_of(_since(begin, began_at), _since(end, began_at), span_s))


def _since(at: datetime, began_at: datetime) -> float:
    return max((at - began_at).total_seconds(), 0.0)


def _after(at: datetime | None, began_at: datetime) -> str:
    if at is None:
        return ""
    seconds = _since(at, began_at)
    return f"+{_about(seconds)}" if seconds >= 1 else "at once"


def _about(seconds: float) -> str:
    """Write a duration that is estimated: in minutes if it lasts some."""
    return shown_left(round(seconds / 60) * 60 if seconds >= _IN_MINUTES_S else seconds)
