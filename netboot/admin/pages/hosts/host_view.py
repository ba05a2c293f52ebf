"""What the page of a host shows, made from the results of `operate`. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from netboot.admin.json_views import json_view
from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.actions.action_urls import LABELS
from netboot.admin.pages.actions.action_urls import host_url as confirmation_url
from netboot.admin.pages.boots.machine_boots import BootsView
from netboot.admin.pages.machines.seen_view import Fact, InspectionView, SeenCard, inspection_view, seen_card
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.admin.texts.install_text import armed_text
from netboot.admin.texts.machine_text import next_boot_texts
from netboot.admin.texts.wait_text import wait_texts
from netboot.model.boot.causes.cause import Cause, CauseSeverity
from netboot.model.install.install import Move
from netboot.model.words import printable
from netboot.operate.actions.host_verbs import HostAction
from netboot.operate.host_status import HostReport

NEWEST_MOVES: Final = 15  # on the page of the host
_KINDS: Final = {CauseSeverity.ERROR: "bad", CauseSeverity.WARNING: "warning", CauseSeverity.INFO: "info"}


@dataclass(frozen=True, slots=True)
class CauseView:
    """Why a host does not proceed; `kind` is the class of a notice."""

    name: str
    severity: str
    kind: str
    sentence: str
    cure: str
    evidence: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check before the disk is written."""

    name: str
    result: str
    colour: str
    found: str


@dataclass(frozen=True, slots=True)
class MoveRow:
    """A line of a host's history; `note` is the whole text of a report."""

    at: datetime
    what: str
    before: str
    after: str
    reason: str
    note: str
    disks: tuple[str, ...]
    actor: str
    source: str


@dataclass(frozen=True, slots=True)
class RefusedActions:
    """Actions that are refused for the same reasons."""

    actions: tuple[ActionLink, ...]
    refusal: str


@dataclass(frozen=True, slots=True)
class HostView:
    """What the page shows."""

    name: str
    url: str
    role: str
    state: str
    changed_at: datetime | None
    is_armed: bool
    situation: tuple[Fact, ...]  # arming, what it boots once, what it waits for, deadlines
    cause: CauseView | None
    possible: tuple[ActionLink, ...]
    refused: tuple[RefusedActions, ...]
    declared: tuple[Fact, ...]
    last_heard: datetime | None
    last_reason: str
    boots: BootsView
    checks: tuple[CheckRow, ...]
    disks: tuple[str, ...]  # that the last report listed
    cards: tuple[SeenCard, ...]
    inspections: tuple[InspectionView, ...]
    history: tuple[MoveRow, ...]
    moves: int  # in the whole history


def host_view(
    report: HostReport,
    actions: Sequence[HostAction],
    boots: BootsView,
    history: Sequence[Move],
    *,
    refusal: str | None = None,
) -> HostView:
    """Show a host; `history` is the whole one, oldest first. `refusal`: why the requester may change nothing."""
    host, install = report.host, report.install.status.install
    reported = [view for each in report.inspections if (view := inspection_view(each)) is not None]
    url, cause = host_url(host.name), _cause(report.install.cause)
    links = [_link(each, refusal) for each in actions]
    return HostView(
        host.name,
        url,
        host.role,
        install.state,
        install.changed_at,
        install.is_armed,
        tuple(_situation(report)),
        cause,
        tuple(each for each in links if each.refusal is None),
        _grouped(links),
        tuple(_declared(report)),
        report.heard.at,
        _last_reason(report, cause),
        boots,
        tuple(CheckRow(each.name, each.result, _colour(each.result), each.found) for each in install.checks),
        tuple(printable(report.heard.disks).splitlines()),
        tuple(seen_card(each) for each in reversed(report.machines)),
        tuple(reported),
        move_rows(history)[:NEWEST_MOVES],
        len(history),
    )


def _link(action: HostAction, refusal: str | None) -> ActionLink:
    """Return an action as a link; the confirmation of one that can be forced has the reasons, so it is no refusal."""
    reasons = None if action.is_forcible else action.refusal
    return ActionLink(action.verb, LABELS[action.verb], confirmation_url(action.host, action.verb), refusal or reasons)


def _grouped(links: Sequence[ActionLink]) -> tuple[RefusedActions, ...]:
    refusals = dict.fromkeys(each.refusal for each in links if each.refusal is not None)
    return tuple(
        RefusedActions(tuple(each for each in links if each.refusal == refusal), refusal) for refusal in refusals
    )


def _last_reason(report: HostReport, cause: CauseView | None) -> str:
    """Return the last reason why its boot did not proceed, unless the cause states it."""
    last = report.heard.last_reason
    if last is None or (cause is not None and cause.sentence in last[1]):
        return ""
    return printable(last[1])


def host_url(name: str) -> str:
    """Return the URL of a host's page."""
    return f"/hosts/{quote(name, safe='')}"


def move_rows(history: Sequence[Move]) -> tuple[MoveRow, ...]:
    """Show a history, the newest line first."""
    return tuple(_move(move) for move in reversed(history))


def _move(move: Move) -> MoveRow:
    found: Any = json_view(move)
    note = printable(found["note"])
    reason = printable(found["reason"] or "")
    return MoveRow(
        move.at,
        move.what,
        move.before,
        move.after,
        reason,
        note if note != reason else "",
        tuple(map(printable, found["disks"])),
        found["actor"] or "",
        found["source"] or "",
    )


def _situation(report: HostReport) -> Iterator[Fact]:
    found: Any = json_view(report)
    yield Fact("Armed", armed_text(found["install"]))
    texts = {
        "Next boot": next_boot_texts(found["next_boot"]),
        "Waits for": wait_texts(found["wait"]),
        "Deadline": deadline_texts(found["deadlines"]),
    }
    yield from (Fact(label, printable(text)) for label, each in texts.items() for text in each)


def _declared(report: HostReport) -> Iterator[Fact]:
    host, network = report.host, report.host.network
    bond = f"bond of {', '.join(map(str, host.macs))}" if network.bond is not None else ""
    texts = {
        "MAC": ", ".join(map(str, host.macs)),
        "Address": str(network.address or network.address6 or "by DHCP"),
        "Address pool": network.pool or "",
        "Gateway": str(network.gateway or ""),
        "VLAN": str(network.vlan or ""),
        "Bond": bond,
        "Disk": str(host.disk or "none: set hosts.NAME.disk"),
        "Boot medium": host.boot_media or "",
        "Release": str(host.release or ""),
        "Ignition": str(host.ignition or ""),
        "Groups": ", ".join(host.groups),
        "Labels": ", ".join(f"{key}={value}" for key, value in host.labels.items()),
        "Declared at": host.declared_at,
    }
    yield from (Fact(label, printable(text)) for label, text in texts.items() if text)


def _cause(cause: Cause | None) -> CauseView | None:
    if cause is None:
        return None
    return CauseView(
        cause.name,
        cause.severity,
        _KINDS[cause.severity],
        printable(cause.sentence),
        printable(cause.cure),
        tuple(map(printable, cause.evidence)),
        cause.since,
    )


def _colour(result: str) -> str:
    return {"pass": "green", "fail": "red"}.get(result, "")
