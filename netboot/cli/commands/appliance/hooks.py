"""`netboot hooks`: the state of the hooks, and a test event to one of them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.admin.json_views import json_view
from netboot.admin.texts.ages import ago
from netboot.cli.commands.daemon_or_store import daemon_at
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.model.words import printable
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.client import HooksClient
    from netboot.operate.hooks.hook_uses import HookUses

_COLUMNS: Final = ("HOOK", "STATE", "WAITING", "OLDEST", "DELIVERED", "TARGET", "LAST FAILURE")


@click.group(cls=Group)
def hooks() -> None:
    """List the web servers and commands that get events, and test them."""


@hooks.command("list")
@config_and_json
def list_hooks(config: Path, as_json: bool) -> None:
    """List the hooks: state, events that wait, last delivery, and why an attempt failed last."""
    found = asyncio.run(_request(config, lambda uses: uses.all()))
    print_table(found, as_json, _COLUMNS, map(_row, found))


@hooks.command()
@click.argument("name")
@config_and_json
def test(config: Path, name: str, as_json: bool) -> None:
    """Deliver a test event to the hook NAME now, once, and print the answer; exit code 1 if it is not accepted."""
    found = asyncio.run(_request(config, lambda uses: uses.test(name)))
    verdict = "accepted" if found["ok"] else "failed"
    line = f"{found['name']}: {verdict} in {found['seconds']:.1f} s by {found['target']}: {found['answer']}"
    print_found(found, as_json, [printable(line)])
    if not found["ok"]:
        raise SystemExit(1)


async def _request(config: Path, request: "Callable[[HookUses | HooksClient], Coroutine[Any, Any, Any]]") -> Any:
    """Send a request to the daemon, or if none runs to the store."""
    settings = load_settings(config)
    client = await daemon_at(settings.admin.socket, config)
    if client is not None:
        async with client:
            return await request(client.hooks)
    from netboot.app.store_access import offline_hooks  # slow to load

    async with offline_hooks(settings) as uses:
        found = json_view(await request(uses))
    click.echo("netboot: no daemon runs, so no event is delivered; start it with systemctl start netboot", err=True)
    return found


def _row(hook: Mapping[str, Any]) -> Sequence[str]:
    oldest = ago(hook["oldest_at"]) if hook["oldest_at"] else "–"
    failure = f"{ago(hook['failed_at'])}: {hook['error']}" if hook["failed_at"] else "–"
    return hook["name"], hook["state"], str(hook["waiting"]), oldest, ago(hook["delivered_at"]), hook["target"], failure
