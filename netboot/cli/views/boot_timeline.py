"""Prints the timeline of a boot: its steps and the reasons why it stops, with the seconds since the first event."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from netboot.model.boot.reasons import explain
from netboot.model.words import printable


class Timeline:
    """Prints events as they come. `since` (ISO 8601) hides earlier events."""

    def __init__(self, *, since: str | None, as_json: bool) -> None:
        self._since = datetime.fromisoformat(since) if since else None
        self._as_json = as_json
        self._began: datetime | None = None
        self.ended_with: str | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Print an event that is a step of the boot or a reason why the boot does not proceed; as JSON, every event."""
        at = datetime.fromisoformat(event["at"])
        if self._since is not None and at < self._since:
            return
        step, data = event["step"], event["data"]
        if step is not None:
            self.ended_with = step if step in ("ready", "failed") else None
        if self._as_json:
            click.echo(json.dumps(event, ensure_ascii=False))
            return
        explained = explain(event["event"], data, host=event["host"] or event["mac"] or "this machine")
        if explained is not None:
            self._line(at, step or explained.word, str(explained))
        elif step is not None:
            self._line(at, step, ", ".join(f"{key} {value}" for key, value in data.items() if value is not None))

    def _line(self, at: datetime, word: str, text: str) -> None:
        self._began = self._began or at
        seconds = (at - self._began).total_seconds()
        click.echo(f"{seconds:7.1f} s  {word:<12}{printable(text)}")
