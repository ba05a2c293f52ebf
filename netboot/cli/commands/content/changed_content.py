"""What a command that changes content does around its change: new files get their owner, and the daemon reads them."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netboot.cli.commands.content.users_found import store_may_exist
from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.content.library.library import Library
from netboot.errors import ContentError, NetbootError
from netboot.model.release import EntryName
from netboot.operate.running_daemon import RescanRequest
from netboot.registry.load import load_settings
from netboot.settings.settings import Settings

if TYPE_CHECKING:
    from netboot.client import View


def opened(config: Path) -> tuple[Settings, Library]:
    """Return the settings, and the content directory that they name."""
    settings = load_settings(config)
    return settings, Library(settings.content.directory)


def announce(config: Path, settings: Settings, change: str, entry: EntryName | None = None) -> None:
    """Make a running daemon read the changed entry again and record `change`; without a daemon, only record it."""
    try:
        result = asyncio.run(_announced(config, settings, RescanRequest(entry, change)))
    except NetbootError as error:
        click.echo(f"note: the content is changed, but the daemon or its store could not take it up: {error}", err=True)
        return
    for host in result.get("armings_ended", ()):
        click.echo(f"note: {host} is no longer armed: its release names another commit now", err=True)


async def _announced(config: Path, settings: Settings, request: RescanRequest) -> "View":
    result = await ask_daemon(settings.admin.socket, config, lambda daemon: daemon.rescan_content(request))
    if result is not None:
        return result
    if store_may_exist(settings.store.url):
        from netboot.app.store_access import record_content_change  # slow to load

        await record_content_change(settings, request.change)
    return {}


@contextmanager
def handed_over(directory: Path) -> Iterator[None]:
    """Run the block, then give new files in `directory` to its owner; print a note if that fails."""
    try:
        yield
    finally:
        try:
            hand_over(directory)
        except ContentError as error:
            click.echo(f"note: {error}", err=True)


def hand_over(directory: Path) -> None:
    """Give root's files below `directory` to its owner; does nothing if the user is not root, or if root owns it.

    The daemon makes deltas beside releases and imports uploads; files that only root may change would prevent both.
    Follows no link: below a directory that another user owns, none can be trusted.
    """
    if os.geteuid() != 0 or not directory.is_dir():
        return
    owner = directory.stat()
    if owner.st_uid == 0:
        return
    try:
        for _, directories, files, descriptor in os.fwalk(directory):
            for name in (*directories, *files):
                with suppress(FileNotFoundError):  # the daemon works here too
                    if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_uid == 0:
                        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        raise ContentError(
            f"cannot give the files in {directory} to its owner: {error.strerror}; "
            f"chown -R {owner.st_uid}:{owner.st_gid} {directory}"
        ) from error
