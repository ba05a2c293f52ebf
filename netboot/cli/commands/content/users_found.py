"""Finds the users of content for the commands: from the daemon or the store, and from the hosts files."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.errors import NetbootError
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content_uses import ContentUse, Use
from netboot.registry.load import read
from netboot.settings.settings import Settings


def users(config: Path, settings: Settings) -> ContentUsers:
    """Find the users of the content; raise NetbootError if the daemon or the store does not answer."""
    return _with_files(config, asyncio.run(_uses(settings, config)))


def users_for_a_list(config: Path, settings: Settings) -> ContentUsers:
    """Find the users of the content as far as possible; print a note for each source that failed."""
    uses: Sequence[ContentUse] = ()
    try:
        uses = asyncio.run(_uses(settings, config, reads_store=False))  # the store takes half a second to load
    except NetbootError as error:
        click.echo(f"note: USED BY may not be complete: {error}", err=True)
    known = _with_files(config, uses)
    if known.fault:
        click.echo(f"note: the hosts files have a fault, so USED BY may not be complete: {known.fault}", err=True)
    return known


def _with_files(config: Path, uses: Sequence[ContentUse]) -> ContentUsers:
    configuration = read(config)
    fault = str(configuration.faults[0]) if configuration.faults else ""
    inspect_media = configuration.settings.hosts.inspect_media
    return ContentUsers(uses, configuration.hosts, fault, configuration.files[1:], inspect_media)


async def _uses(settings: Settings, config: Path, *, reads_store: bool = True) -> Sequence[ContentUse]:
    listed = await ask_daemon(settings.admin.socket, config, lambda daemon: daemon.content_uses())
    if listed is not None:
        return [ContentUse(each["kind"], each["name"], Use(each["use"]), each["host"] or "") for each in listed]
    if not reads_store or not store_may_exist(settings.store.url):
        return ()
    from netboot.app.store_access import offline_content_uses  # slow to load

    return await offline_content_uses(settings)


def store_may_exist(store_url: str) -> bool:
    """Return whether there may be a store: only the daemon makes one."""
    scheme, _, path = store_url.partition(":///")
    return not scheme.startswith("sqlite") or Path(path).exists()
