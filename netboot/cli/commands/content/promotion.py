"""What a promotion does to nodes and armings, of the running daemon, or of the store if none runs."""

import asyncio
from pathlib import Path
from typing import Any

import click

from netboot.cli.commands.content.users_found import store_may_exist
from netboot.cli.commands.updates_reading import read_updates
from netboot.control_socket import is_answered
from netboot.errors import NetbootError
from netboot.settings.settings import Settings


def plan_of(config: Path, name: str, alias: str) -> Any:
    """Return the plan of a promotion as JSON has it; raise NetbootError."""
    return asyncio.run(read_updates(config, lambda uses: uses.plan(name, alias)))


def effects_of(config: Path, settings: Settings, name: str, alias: str) -> Any:
    """Return the plan of a promotion that is made now; None if it is not known, which stops no promotion."""
    if not store_may_exist(settings.store.url) and not is_answered(settings.admin.socket):
        return None
    try:
        return plan_of(config, name, alias)
    except NetbootError as error:
        click.echo(f"note: the nodes that will notice it are not known: {error}", err=True)
        return None
