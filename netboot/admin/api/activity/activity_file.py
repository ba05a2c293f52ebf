"""Writes events as a file: CSV for spreadsheets, JSON Lines for programs. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self

from netboot.admin.texts.csv_rows import csv_rows
from netboot.model.install.event import Event, actor_in, event_fields
from netboot.operate.boots.event_sentence import event_sentence

_COLUMNS: Final = ("id", "at", "event", "host", "mac", "step", "actor", "source", "text", "data")


class FileFormat(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"

    @property
    def content_type(self) -> str:
        return "text/csv" if self is FileFormat.CSV else "application/jsonl"


@dataclass(frozen=True, slots=True)
class ActivityEvent:
    """An event; `text` is what it means, in one sentence."""

    id: int
    at: str
    event: str
    host: str | None
    mac: str | None
    step: str | None
    data: Mapping[str, Any]
    text: str

    @classmethod
    def of(cls, event: Event) -> Self:
        return cls(**event_fields(event), text=event_sentence(event))


def file_head(form: FileFormat) -> bytes:
    """Return what a file begins with: the names of the columns (RFC 4180), in JSON Lines nothing."""
    return _encoded(csv_rows([_COLUMNS])) if form is FileFormat.CSV else b""


def file_lines(form: FileFormat, events: Sequence[Event]) -> bytes:
    """Return one line for each event; text that a spreadsheet would calculate begins with an apostrophe."""
    shown = [asdict(ActivityEvent.of(event)) for event in events]
    if form is FileFormat.CSV:
        return _encoded(csv_rows(map(_cells, shown)))
    return _encoded("".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in shown))


def _cells(event: Mapping[str, Any]) -> list[object]:
    data = event["data"]
    found = {**event, "actor": actor_in(data), "source": data.get("source")}
    found["data"] = json.dumps(data, ensure_ascii=False)
    return [found[name] for name in _COLUMNS]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
