"""`netboot bmc`: the BMCs of hosts. A password is never an argument, and is never printed."""

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.cli.commands.access.user import password_file, read_password
from netboot.cli.commands.daemon_or_store import run_with_administration, with_daemon
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.model.words import printable
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration

_COLUMNS: Final = ("ABILITY", "WORKS", "DETAIL")


@click.group(cls=Group)
def bmc() -> None:
    """Find out what the BMCs of hosts can do, and set their credentials."""


@bmc.command()
@click.argument("host")
@click.option(
    "-o", "output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answers of the BMC into this file."
)
@config_and_json
def probe(config: Path, host: str, output: Path | None, as_json: bool) -> None:
    """Find out what the BMC of HOST can do. Nothing is changed.

    With -o its answers are written into a zip archive, without addresses, names, serial numbers and secrets: a report
    of a fault, and an example that a test can replay.
    """
    socket, is_recorded = load_settings(config).admin.socket, output is not None
    probed = with_daemon(socket, config, lambda client: client.power.probes.probe(host, is_recorded=is_recorded))
    found = dict(asyncio.run(probed))
    recording = found.pop("recording")
    if output is not None:
        output.write_bytes(base64.b64decode(recording))
    shown = found["probe"]
    if not as_json:
        texts = {name: shown[name] for name in ("url", "vendor", "model", "firmware", "bios", "redfish")}
        texts |= {"certificate": shown["certificate_sha256"], "quirks": ", ".join(shown["quirks"])}
        for name, text in texts.items():
            click.echo(printable(f"{name}: {text or 'not known'}"))
    rows = [(each["ability"], each["works"], each["detail"]) for each in shown["abilities"]]
    print_table(found, as_json, _COLUMNS, rows)
    if output is not None:
        click.echo(f"the answers are in {output}; read them before you send them", err=True)


@bmc.command()
@click.argument("host")
@click.option("--username", help="The user of the BMC; requested if it is not given.")
@password_file
@config_and_json
def credentials(config: Path, host: str, username: str | None, password_file: Any, as_json: bool) -> None:
    """Write the user and the password of the BMC of HOST into its file, in place of what it has.

    The file has url and certificate of the BMC too: nothing else gets the password. After a change of one of them, set
    it again.

    Without --password-file the password is requested, or read from standard input if that is no terminal. Nothing of
    netboot prints a password, and nothing but this file has it.
    """
    username = username or str(click.prompt("Username", err=True))
    password = read_password(password_file)

    async def write(daemon: "Administration | ControlClient") -> Any:
        from netboot.bmc.credentials import BmcCredentials  # slow to load

        return await daemon.bmc_credentials.set(host, BmcCredentials(username, password))

    found = run_with_administration(config, write, work="wrote the file")
    lines = [
        f"the BMC credentials of {host} are in {found['file']}",
        f"for {found['url']} (certificate: {found['certificate']})",
    ]
    print_found(found, as_json, lines)
