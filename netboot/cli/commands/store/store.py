"""`netboot store`: the commands on the store itself."""

import click

from netboot.cli.commands.store.backups import backup, check, restore
from netboot.cli.commands.store.rekey import rekey
from netboot.cli.groups import Group


@click.group(cls=Group)
def store() -> None:
    """Back up, restore and verify the store, and change its key."""


for each in (backup, restore, check, rekey):
    store.add_command(each)
