"""`netboot serve`: the daemon."""

import asyncio
from pathlib import Path

import click

from netboot import app


@click.command()
@click.pass_obj
def serve(config: Path) -> None:
    """Run the daemon: proxyDHCP, TFTP, HTTP, administration.

    Logs to stderr. SIGHUP reads the configuration again, or keeps the old one and says why. SIGTERM drains and stops.
    """
    asyncio.run(app.serve(config))
