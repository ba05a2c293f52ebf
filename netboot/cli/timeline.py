"""The timeline of a boot as a person reads it: one line for each step, with the seconds since the first."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from netboot.model.words import plain


class Timeline:
    """Prints events as they come. `since` (ISO 8601) hides what was before."""

    def __init__(self, *, since: str | None, as_json: bool) -> None:
        self._since = datetime.fromisoformat(since) if since else None
        self._as_json = as_json
        self._began: datetime | None = None
        self.ended_with: str | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Print one event, if it is a step of the boot."""
        at = datetime.fromisoformat(event["at"])
        if self._since is not None and at < self._since:
            return
        if self._as_json:
            click.echo(json.dumps(event, ensure_ascii=False))
        step = event["step"]
        if step is None:
            if event["event"] == "boot.alarm_raised":
                self._line(at, "ALARM", event["data"])
            return
        self.ended_with = step if step in ("ready", "failed") else None
        self._line(at, step, event["data"])

    def _line(self, at: datetime, step: str, data: Mapping[str, Any]) -> None:
        if self._as_json:
            return
        self._began = self._began or at
        told = ", ".join(f"{key} {value}" for key, value in data.items() if value is not None)
        click.echo(f"{(at - self._began).total_seconds():7.1f} s  {step:<12}{plain(told)}")
