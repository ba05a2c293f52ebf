"""`netboot content publish`: content for a web server elsewhere, named by `content.url`."""

from dataclasses import asdict
from pathlib import Path

import click

from netboot.cli.views.content_progress import shown_progress
from netboot.cli.views.output import json_option, print_json
from netboot.content.library.disk import megabytes
from netboot.content.publish import DirectoryTarget, Target, publish
from netboot.content.publish_s3 import S3Target
from netboot.registry.load import load_settings


@click.command("publish", short_help="Copy NAME to where another web server has it.")
@click.argument("name")
@click.argument("target", metavar="DIR|s3://BUCKET/PREFIX")
@click.option("--endpoint", metavar="URL", help="The S3-compatible store; Amazon's own if not given.")
@json_option
@click.pass_obj
def publish_command(config: Path, name: str, target: str, endpoint: str | None, as_json: bool) -> None:
    """Copy medium or release NAME, with its checksums, to where another web server has it.

    Carries on where it was cut; never deletes. Machines go there once content.url names that server.
    """
    place: Target = S3Target(target, endpoint=endpoint) if target.startswith("s3://") else DirectoryTarget(Path(target))
    with shown_progress(as_json=as_json) as progress:
        done = publish(load_settings(config).content.directory, name, place, progress=progress)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(f"{name} is at {target}: {done.files} files, {done.copied} copied now ({megabytes(done.copied_bytes)})")
