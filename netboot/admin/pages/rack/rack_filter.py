"""Which hosts the rack shows and in which order, as the query of its URL has it. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any, Final, Self
from urllib.parse import urlencode

from netboot.operate.rack.rack_row import HostRow

ARMED: Final = "armed"  # beside the states of an install


@dataclass(frozen=True, slots=True)
class RackFilter:
    """An empty text selects every host; `order` is `desc`, or empty."""

    state: str = ""
    role: str = ""
    label: str = ""  # KEY=VALUE
    group: str = ""
    q: str = ""
    attention: str = ""  # 1
    sort: str = "name"
    order: str = ""

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> Self:
        """Read the query of a URL; an unknown order is that of the names."""
        found = cls(**{each.name: query[each.name].strip() for each in fields(cls) if query.get(each.name)})
        return found if found.sort in SORT_KEYS else replace(found, sort="name")

    def url(self, path: str = "/", **changes: str) -> str:
        """Return the URL of this filter with changes."""
        values = asdict(replace(self, **changes))
        pairs = {name: text for name, text in values.items() if text and (name, text) != ("sort", "name")}
        return f"{path}?{urlencode(pairs)}" if pairs else path

    @property
    def is_all(self) -> bool:
        return not (self.state or self.role or self.label or self.group or self.q or self.attention)

    def matches(self, row: HostRow) -> bool:
        """Return whether a host is shown."""
        host, install = row.host, row.install
        key, _, value = self.label.partition("=")
        return (
            (not self.state or (install.is_armed if self.state == ARMED else install.state == self.state))
            and self.role in ("", host.role)
            and (not self.group or self.group in host.groups)
            and (not self.label or host.labels.get(key) == value)
            and (not self.attention or row.attention is not None)
            and (not self.q or self.q.lower() in _text(row))
        )

    def applied(self, rows: Iterable[HostRow]) -> list[HostRow]:
        """Return the hosts that are shown, in their order; those without a value come last."""
        key = SORT_KEYS[self.sort]
        shown = [row for row in rows if self.matches(row)]
        known = [row for row in shown if key(row) not in (None, _NO_TEXT)]
        known.sort(key=key, reverse=self.order == "desc")
        return [*known, *(row for row in shown if key(row) in (None, _NO_TEXT))]


_NUMBER: Final = re.compile(r"([0-9]+)")
_NO_TEXT: Final = ("",)


def _natural(text: str) -> tuple[str | int, ...]:
    """Return a key by which `w10` follows `w9`: numbers stand at odd places, so that only like parts are compared."""
    return tuple(int(part[:18]) if place % 2 else part for place, part in enumerate(_NUMBER.split(text)))


def _event_at(row: HostRow) -> datetime | None:
    return row.event.at if row.event is not None else None


def _address(row: HostRow) -> IPv4Address | None:
    return row.address


# The columns by which the table is sorted.
SORT_KEYS: Final[Mapping[str, Callable[[HostRow], Any]]] = {
    "name": lambda row: _natural(row.host.name),
    "role": lambda row: row.host.role.value,
    "state": lambda row: row.install.state.value,
    "since": lambda row: row.since,
    "address": _address,
    "mac": lambda row: str(row.host.mac),
    "model": lambda row: _natural(f"{row.model} {row.serial}".strip()),
    "port": lambda row: _natural(row.switch_port),
    "event": _event_at,
}


def _text(row: HostRow) -> str:
    """Return what a search compares."""
    host = row.host
    labels = (f"{key}={value}" for key, value in host.labels.items())
    parts = (host.name, host.role, *host.groups, *labels, *host.macs, str(row.address or ""), row.model, row.serial)
    return "\n".join((*parts, row.switch_port, row.install.state)).lower()
