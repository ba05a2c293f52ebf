"""`netboot reload`: makes the daemon read its files again and prints the result."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from netboot.admin.texts.reload_text import report
from netboot.cli.commands.daemon_or_store import with_daemon
from netboot.cli.views.output import config_and_json, counted, print_fault_as_json, print_found
from netboot.control_socket import RefusedError
from netboot.errors import ConfigError, NetbootError
from netboot.settings.settings import read_settings
from netboot.yamlfile.faults import Faults

UNPROCESSABLE = 422  # the daemon's status code if the files have faults


@click.command("reload", short_help="Make the daemon read its files again; print the result.")
@config_and_json
def reload(config: Path, as_json: bool) -> None:
    """Make the daemon read its files again, as SIGHUP does, and print the hosts and the sections that need a restart.

    Exit code 2 if a file has faults: the daemon then keeps the previous configuration. Exit code 1 if no daemon
    answers.
    """
    try:
        taken = asyncio.run(_reload(config))
    except RefusedError as error:
        if error.status != UNPROCESSABLE:
            raise
        if as_json:
            print_fault_as_json(error)
        else:
            click.echo(str(error), err=True)
            count = counted(len(str(error).splitlines()), "fault")
            cure = "correct the files, then reload"
            click.echo(f"{count}; the daemon keeps the last accepted configuration; {cure}", err=True)
        raise SystemExit(2) from None
    print_found({"ok": True, **taken}, as_json, report(taken))


async def _reload(config: Path) -> Mapping[str, Any]:
    faults = Faults()
    socket = read_settings(config, faults)[0].admin.socket
    try:
        # It logs the faults and shows the first in its status line.
        return await with_daemon(socket, config, lambda daemon: daemon.reload())
    except NetbootError as error:
        if faults and not (isinstance(error, RefusedError) and error.status == UNPROCESSABLE):
            raise ConfigError(faults.problems) from None  # because of the faults, the socket may be another one
        raise
