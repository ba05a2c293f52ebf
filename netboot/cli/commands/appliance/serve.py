"""`netboot serve`: the daemon."""

import asyncio
from pathlib import Path

import click

from netboot.app.start import serve as run_daemon


@click.command()
@click.pass_obj
def serve(config: Path) -> None:
    """Run the daemon: proxyDHCP, TFTP, HTTP, administration.

    Logs to stderr. SIGHUP reads the configuration again; if it has faults, they are logged and the previous one is
    kept. SIGTERM drains and stops.
    """
    asyncio.run(run_daemon(config))
