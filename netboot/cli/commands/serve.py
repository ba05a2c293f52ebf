"""`netboot serve`: the daemon."""

import asyncio
from pathlib import Path

import click

from netboot.app.daemon import serve as run_daemon


@click.command()
@click.pass_obj
def serve(config: Path) -> None:
    """Run the daemon: proxyDHCP, TFTP, HTTP, administration.

    Logs to stderr. SIGHUP reads the configuration again, or keeps the old one and says why. SIGTERM drains and stops.
    """
    asyncio.run(run_daemon(config))
