"""`netboot appliances`: the appliances of the shared store, and what differs between them."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from netboot.admin.texts.ages import ago
from netboot.cli.commands.daemon_or_store import with_daemon
from netboot.cli.views.output import config_and_json, print_table
from netboot.model.words import printable, shown_age
from netboot.registry.load import load_settings

_COLUMNS: Final = ("APPLIANCE", "URL", "VERSION", "STATE", "SINCE", "DIFFERS FROM THIS ONE")
_ONLY_ONE: Final = (
    "the store is SQLite, which is for one appliance: this one is the only one; "
    "several share a PostgreSQL store: docs/several-appliances.md"
)
_SHOWN: Final = 5  # names of a part that differ


@click.command()
@config_and_json
def appliances(config: Path, as_json: bool) -> None:
    """List the appliances that share the store, what differs between them and this one, and the cure.

    On SQLite a store has one appliance, and the list is empty, with --json []. Exit code 1 if no daemon answers.
    """
    socket = load_settings(config).admin.socket
    status = asyncio.run(with_daemon(socket, config, lambda daemon: daemon.status()))
    found = status["appliances"]
    if not found and not as_json:
        click.echo(_ONLY_ONE)
        return
    print_table(found, as_json, _COLUMNS, map(_row, found))
    for problem in () if as_json else [problem for each in found for problem in each.get("problems", ())]:
        click.echo(f"warning: {printable(problem)}", err=True)


def _row(each: Mapping[str, Any]) -> Sequence[str]:
    state = f"lost for {shown_age(each['unseen_s'])}" if each["is_lost"] else "this" if each["is_this"] else "running"
    differs = "; ".join(f"{part}: {_names(names)}" for part, names in each["differs"].items()) or "–"
    return printable(each["name"]), each["url"], each["version"], state, ago(each["joined_at"]), printable(differs)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
