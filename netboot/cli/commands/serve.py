"""`netboot serve`: the daemon."""

import asyncio
import gc
from pathlib import Path

import click

from netboot.app.daemon import serve as run_daemon


@click.command()
@click.pass_obj
def serve(config: Path) -> None:
    """Run the daemon: proxyDHCP, TFTP, HTTP, administration.

    Logs to stderr. SIGHUP reads the configuration again; if it has faults, they are logged and the previous one is
    kept. SIGTERM drains and stops.
    """
    gc.set_threshold(700)  # the default: `netboot.__main__` changed it
    asyncio.run(run_daemon(config))
