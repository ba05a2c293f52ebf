"""`netboot store rekey`: seals the store with a new key."""

import asyncio
import os
from dataclasses import asdict
from pathlib import Path

import click

from netboot.cli.views.output import config_and_json, counted, print_found
from netboot.model.words import printable
from netboot.registry.load import load_settings


@click.command(short_help="Seal the store with a new key; the daemon must be stopped.")
@click.option("--new-key", metavar="FILE", type=click.Path(path_type=Path), help="A key of yours instead of a new one.")
@click.option("--discard", is_flag=True, help="Delete what the key in force does not open: the key is lost.")
@config_and_json
def rekey(config: Path, new_key: Path | None, discard: bool, as_json: bool) -> None:
    """Seal every secret in the store with a new key, which replaces store.key_file; the daemon must be stopped.

    With --new-key the key is that of FILE, which you then put where the setting reads it. With --discard, what the key
    in force does not open is deleted: running installs (arm them again), passwords, the hosts files accepted last.
    """
    from netboot.store.rekeying.rekeying import rekey as change_key  # slow to load

    settings = load_settings(config).store
    owner = f"netboot store rekey with pid {os.getpid()}"
    changing = change_key(
        settings.url,
        settings.key_file,
        owner=owner,
        discards=discard,
        new_key=new_key,
        note=lambda text: click.echo(printable(text), err=True),
    )
    change = asyncio.run(changing)
    lines = [f"the store is sealed with the key {change.digest} in {change.key_file}"]
    if change.discarded_count:
        lines.append(f"deleted, because no key opens it: {counted(change.discarded_count, 'value')}; arm hosts again")
    other = "put it where store.key_file reads it" if new_key is not None else "copy it to the store's other appliances"
    lines.append(f"{other}, keep a copy apart from the backups, and start netboot")
    print_found({**asdict(change), "key_file": str(change.key_file)}, as_json, map(printable, lines))
