"""Opens the use case of updates: of the running daemon, or on the store if none runs."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netboot.admin.json_views import json_view
from netboot.cli.commands.daemon_or_store import daemon_at
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.client import UpdatesClient
    from netboot.operate.updates.updates import Updates


async def read_updates(config: Path, read: "Callable[[Updates | UpdatesClient], Coroutine[Any, Any, Any]]") -> Any:
    """Return what `read` finds as JSON has it; without a daemon, print that on stderr. Raises ConfigError."""
    client = await daemon_at(load_settings(config).admin.socket, config)
    if client is not None:
        async with client:
            return await read(client.updates)
    from netboot.app import from_settings  # slow to load
    from netboot.app.recorded_addresses import read_files
    from netboot.app.store_access import offline_updates
    from netboot.doctor.configuration.listening_checks import links_here
    from netboot.telemetry import logs

    logs.configure(level="error", form="auto")  # the command itself prints a refusal
    configuration = (await read_files(config)).configuration()
    base_urls = from_settings.base_urls_of(configuration.settings, await links_here())
    async with offline_updates(configuration, base_urls) as opened:
        found = json_view(await read(opened))
    click.echo("netboot: no daemon runs; read the store itself; start it with systemctl start netboot", err=True)
    return found
