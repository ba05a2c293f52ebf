"""`netboot updates`: what each node runs, has downloaded and is offered, and what to type next."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from netboot.admin.texts.ages import ago
from netboot.admin.texts.promotion_text import shown_commit
from netboot.cli.commands.updates_reading import read_updates
from netboot.cli.views.output import config_and_json, print_table
from netboot.model.words import printable

_COLUMNS: Final = ("HOST", "ROLE", "STATE", "RUNS", "STAGED", "OFFERED", "REPORTED", "NEXT")
_NONE: Final = "–"


@click.command()
@config_and_json
def updates(config: Path, as_json: bool) -> None:
    """Show what each node runs and is offered, and what to type next.

    Control planes come first. Without a report, a node runs what was installed (since install).
    """
    found = asyncio.run(read_updates(config, lambda uses: uses.board()))
    print_table(found, as_json, _COLUMNS, map(_row, found["nodes"]))
    if as_json:
        return
    of_nodes = [f"{node['host']}: {warning}" for node in found["nodes"] for warning in node["warnings"]]
    for warning in [*found["warnings"], *of_nodes]:
        click.echo(f"warning: {printable(warning)}", err=True)


def _row(node: Mapping[str, Any]) -> Sequence[str]:
    runs = _named(node["runs"]) + (" (since install)" if node["is_since_install"] else "")
    offered = f"{node['tag']}: {_named(node['offered'])}" if node["offered"] else _NONE
    reported = ago(node["reported_at"]) if node["reported_at"] else _NONE
    shown = (node["host"], node["role"], node["state"], runs, _named(node["staged"]), offered, reported)
    return *shown, node["next_command"] or node["next_step"]


def _named(known: Mapping[str, Any] | None) -> str:
    """Return the release that a commit is, which identifies it, so that a row fits on a terminal; else the commit."""
    return str(known["release"] if known and known["release"] else shown_commit(known))
