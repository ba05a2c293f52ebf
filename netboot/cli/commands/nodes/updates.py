"""`netboot updates`: what each node runs, has downloaded and is offered, and what to type next."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from netboot.admin.json_views import json_view
from netboot.admin.texts.ages import ago
from netboot.cli.commands.daemon_or_store import daemon_at
from netboot.cli.views.output import config_and_json, print_table
from netboot.model.words import printable
from netboot.registry.load import load_settings

_COLUMNS: Final = ("HOST", "ROLE", "STATE", "RUNS", "STAGED", "OFFERED", "REPORTED", "NEXT")
_NONE: Final = "–"


@click.command()
@config_and_json
def updates(config: Path, as_json: bool) -> None:
    """Show what each node runs and is offered, and what to type next.

    Control planes come first. Without a report, a node runs what was installed (since install).
    """
    found = asyncio.run(_board(config))
    print_table(found, as_json, _COLUMNS, map(_row, found["nodes"]))
    if as_json:
        return
    of_nodes = [f"{node['host']}: {warning}" for node in found["nodes"] for warning in node["warnings"]]
    for warning in [*found["warnings"], *of_nodes]:
        click.echo(f"warning: {printable(warning)}", err=True)


async def _board(config: Path) -> Any:
    client = await daemon_at(load_settings(config).admin.socket, config)
    if client is not None:
        async with client:
            return await client.updates.board()
    from netboot.app import from_settings  # slow to load
    from netboot.app.recorded_addresses import read_files
    from netboot.app.store_access import offline_updates
    from netboot.doctor.configuration.listening_checks import links_here

    configuration = (await read_files(config)).configuration()
    base_urls = from_settings.base_urls_of(configuration.settings, await links_here())
    async with offline_updates(configuration, base_urls) as opened:
        found = json_view(await opened.board())
    click.echo("netboot: no daemon runs; read the store itself; start it with systemctl start netboot", err=True)
    return found


def _row(node: Mapping[str, Any]) -> Sequence[str]:
    runs = _commit(node["runs"]) + (" (since install)" if node["is_since_install"] else "")
    offered = f"{node['tag']}: {_commit(node['offered'])}" if node["offered"] else _NONE
    reported = ago(node["reported_at"]) if node["reported_at"] else _NONE
    shown = (node["host"], node["role"], node["state"], runs, _commit(node["staged"]), offered, reported)
    return *shown, node["next_command"] or node["next_step"]


def _commit(known: Mapping[str, Any] | None) -> str:
    if known is None:
        return _NONE
    name = known["release"] or known["version"]
    return f"{name} ({known['commit'][:12]})" if name else known["commit"][:12]
