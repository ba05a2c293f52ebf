"""Prints the log of a boot, with the steps of the boot between its lines."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from netboot.admin.texts.ages import shown_time
from netboot.cli.views.event_words import event_words
from netboot.model.words import printable

View = Mapping[str, Any]


class LogView:
    """Prints boots, lines and events as they come; as JSON, one object for each boot and line."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def show(self, found: View) -> None:
        """Print a boot, a line or an event; an event that is no step of a boot is not printed."""
        if self._as_json:
            click.echo(json.dumps(found, ensure_ascii=False))
        elif "began_at" in found:
            began_at = shown_time(found["began_at"])
            click.echo(f"{found['machine']}, boot {found['number']} of {found['boots']}, began {began_at} UTC")
        elif "text" in found:
            self._print(found["at"], found["severity"], found["program"] or "–", found["text"])
        elif (words := event_words(found)) is not None:
            self._print(found["at"], "step", *words)

    def _print(self, at: str, kind: str, subject: str, text: str) -> None:
        time = datetime.fromisoformat(at).strftime("%H:%M:%S.%f")[:-3]
        click.echo(printable(f"{time}  {kind:<7}  {subject:<14}  {text}"))
