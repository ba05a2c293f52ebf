"""Prints results and faults: tables on a terminal, else plain lines; JSON on request."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.errors import NO_RIGHT, ConfigError, NetbootError
from netboot.model.words import printable

if TYPE_CHECKING:
    from rich.table import Table

_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e\n]")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def config_and_json(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the path of the settings file as `config`, and the option --json as `as_json`."""
    return json_option(click.pass_obj(command))


def print_json(value: Any) -> None:
    click.echo(json_text(value, indent=2))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Write JSON; what a terminal could obey, as control characters above ASCII, is escaped."""
    return _NOT_PLAIN.sub(_escaped, json.dumps(value, indent=indent, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def print_found(found: Any, as_json: bool, lines: Iterable[str]) -> None:
    """Print what was found or done: `lines` for a person, `found` as JSON for a program."""
    if as_json:
        print_json(found)
        return
    for line in lines:
        click.echo(line)


def print_table(found: Any, as_json: bool, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings, each on its line, tab-separated without a terminal; or `found` as JSON."""
    rows = ([printable(cell.replace("\n", " ").replace("\t", " ")) for cell in row] for row in rows)
    if as_json or not (sys.stdout.isatty() or os.environ.get("FORCE_COLOR")):
        print_found(found, as_json, map("\t".join, chain([columns], rows)))
        return
    from rich.console import Console  # slow to load

    Console().print(rich_table(columns, rows))


def rich_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    """Return rows of printable text under their headings, for a terminal."""
    from rich.table import Table  # slow to load
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as text: a str would be read as markup, brackets and all
    return table


def counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' if number != 1 else ''}"


def fault_text(error: NetbootError | PermissionError) -> str:
    """Describe a fault: one sentence, or one line for each fault of the configuration."""
    match error:
        case ConfigError(problems=problems):
            return f"{error}\n{counted(len(problems), 'problem')}; nothing was changed"
        case PermissionError():  # of files for which the command has no message of its own
            return f"netboot: cannot open {error.filename}: {error.strerror}; {NO_RIGHT}"
        case _:
            return f"netboot: {error}"


def print_fault_as_json(error: NetbootError | PermissionError | click.ClickException) -> None:
    """Print one line: the error as the API shows it, with `ok` false."""
    from netboot.admin.json_views import error_view  # slow to load

    match error:
        case NetbootError():
            shown = error_view(error)
        case click.ClickException():
            shown = {"error": error.format_message(), "code": "usage"}
        case _:
            shown = {"error": fault_text(error).removeprefix("netboot: "), "code": "permission-denied"}
    click.echo(json_text({"ok": False, **shown}))
