"""`netboot bmc`: the BMCs of hosts. A password is never an argument, and is never printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netboot.cli.commands.access.user import password_file, read_password
from netboot.cli.commands.daemon_or_store import run_with_administration
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration


@click.group(cls=Group)
def bmc() -> None:
    """Set the credentials of BMCs."""


@bmc.command()
@click.argument("host")
@click.option("--username", prompt=True, help="The user of the BMC; requested if it is not given.")
@password_file
@config_and_json
def credentials(config: Path, host: str, username: str, password_file: Any, as_json: bool) -> None:
    """Write the user and the password of the BMC of HOST into its file, in place of what it has.

    Without --password-file the password is requested, or read from standard input if that is no terminal. Nothing of
    netboot prints a password, and nothing but this file has it.
    """
    password = read_password(password_file)

    async def write(daemon: "Administration | ControlClient") -> Any:
        from netboot.bmc.credentials import BmcCredentials  # slow to load

        return await daemon.bmc_credentials.set(host, BmcCredentials(username, password))

    found = run_with_administration(config, write, work="wrote the file")
    print_found(found, as_json, [f"the BMC credentials of {host} are in {found['file']}"])
