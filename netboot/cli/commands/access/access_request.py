"""Sends a request about users and API tokens to the daemon, or if none runs to the store."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netboot.cli.commands.daemon_or_store import CHANGING, daemon_at
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.clients.access_client import AccessClient
    from netboot.operate.access.access_uses import AccessUses

Request = Callable[["AccessUses | AccessClient"], Coroutine[Any, Any, Any]]


def run_with_access(config: Path, request: Request, *, work: str = CHANGING) -> Any:
    """Run a request, and return what it found as JSON has it; `work` is what is done without a daemon."""
    return asyncio.run(_run(config, request, work))


async def _run(config: Path, request: Request, work: str) -> Any:
    settings = load_settings(config)
    client = await daemon_at(settings.admin.socket, config)
    if client is not None:
        async with client:
            return await request(client.access)
    from netboot.admin.json_views import json_view
    from netboot.app.store_access import offline_access  # slow to load
    from netboot.telemetry import logs

    logs.configure(level="error", form="auto")  # the command itself prints a refusal, which the audit trail logs too
    async with offline_access(settings) as uses:
        found = json_view(await request(uses))
    click.echo(f"netboot: no daemon runs; {work} itself; start it with systemctl start netboot", err=True)
    return found
