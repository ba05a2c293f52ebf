"""`netboot store`: the commands on the store itself."""

import click

from netboot.cli.commands.store.rekey import rekey
from netboot.cli.groups import Group


@click.group(cls=Group)
def store() -> None:
    """Change the key of the store."""


store.add_command(rekey)
