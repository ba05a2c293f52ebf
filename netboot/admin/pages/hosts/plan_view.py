"""What the page of a host's documents shows: what its machine would receive now and why, and what it was served. Pure.

Tokens and secrets are hidden already, as `netboot plan` hides them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from netboot.admin.json_views import json_view
from netboot.admin.pages.machines.seen_view import Fact
from netboot.admin.texts.value_text import recorded_text, value_text
from netboot.model.install.ignition_way import IgnitionWay
from netboot.model.install.served_document import ServedDocument
from netboot.model.words import printable
from netboot.operate.planning.explanation import WrittenValues
from netboot.operate.planning.host_plan import HostPlan, plan_texts
from netboot.operate.planning.next_boot import NextBoot


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A rendered document. `about`: when and to whom it was served; empty for one of the plan."""

    title: str
    text: str
    lines: int
    about: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ValueRow:
    """A value of the host with its places."""

    key: str
    value: str
    origins: tuple[str, ...]
    overridden: tuple[str, ...]
    recorded: str  # of an address from a pool


@dataclass(frozen=True, slots=True)
class PlanView:
    """What the page shows. `problem`: why the values are not known."""

    name: str
    url: str
    reason: str  # why the machine gets this and nothing else; empty: it proceeds
    offers: tuple[Fact, ...]
    local_boots: tuple[Fact, ...]
    urls: tuple[Fact, ...]
    is_embedded: bool
    plan: tuple[DocumentView, ...]
    values: tuple[ValueRow, ...]
    faults: tuple[str, ...]
    problem: str
    served: tuple[DocumentView, ...]


def offer_facts(found: NextBoot) -> tuple[Fact, ...]:
    """Show what each kind of firmware is offered now."""
    return tuple(Fact(firmware, offer) for firmware, offer in found.offers.items())


def local_boot_facts(found: NextBoot) -> tuple[Fact, ...]:
    """Show by which method each kind of firmware is led to the machine's own disk, and why."""
    return tuple(Fact(firmware, method) for firmware, method in found.local_boot.items())


def url_facts(found: NextBoot) -> tuple[Fact, ...]:
    """Show the URLs to which a machine is led."""
    return tuple(Fact(name.replace("_", " "), url) for name, url in found.urls.items() if url)


def is_embedded(found: NextBoot) -> bool:
    """Return whether the installer puts the Ignition into /boot."""
    return found.ignition is IgnitionWay.EMBED


def planned_documents(plan: HostPlan) -> tuple[DocumentView, ...]:
    """Show each document of a plan."""
    return tuple(_document(title, text) for title, _file, text in plan_texts(plan) if title != "offers")


def served_documents(served: Sequence[ServedDocument]) -> tuple[DocumentView, ...]:
    """Show each document that was served last; of the role's file only its digest is kept."""
    return tuple(
        _document(each.kind, each.text or f"sha256 {each.sha256}", f"to {each.mac} by {each.base_url}", each.at)
        for each in served
    )


def _document(title: str, text: str, about: str = "", at: datetime | None = None) -> DocumentView:
    shown = printable(text)
    return DocumentView(title, shown, shown.count("\n") + (not shown.endswith("\n")), about, at)


def value_rows(written: WrittenValues) -> tuple[ValueRow, ...]:
    """Show each value with the places that it comes from and those that it overrides."""
    return tuple(_value(json_view(value)) for value in written.values)


def _value(found: Any) -> ValueRow:
    return ValueRow(
        found["key"],
        printable(value_text(found["value"])) or "–",
        tuple(map(_place, found["from"])),
        tuple(map(_place, found["overrides"])),
        recorded_text(found["recorded_at"]) if "recorded_at" in found else "",
    )


def _place(origin: Any) -> str:
    return f"{origin['file']}:{origin['line']}:{origin['column']}: {origin['where']}"
