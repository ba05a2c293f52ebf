"""`netboot support`: one archive with all that explains the boots of a host, without secrets."""

import asyncio
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from netboot.cli.commands.daemon_or_store import daemon_at
from netboot.cli.views.output import config_and_json, counted, print_found
from netboot.control_socket import DeafDaemonError, NoDaemonError
from netboot.errors import ConfigError, NetbootError, StoreError
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.app.support.support_archives import SupportArchives

_STDOUT: Final = "-"
_FAULTS: Final = "errors.txt"


@click.command(short_help="Write what explains the boots of a host into one archive, without secrets.")
@click.argument("host", required=False)
@click.option(
    "-o", "--output", metavar="FILE", help="The archive; - is standard output. Default: a name with the time."
)
@config_and_json
def support(config: Path, host: str | None, output: str | None, as_json: bool) -> None:
    """Write what explains the boots of HOST into one archive, without secrets: to read, or to send.

    Timeline, causes, logs and packets of its boots, state of the appliance, versions, configuration. HOST is a host,
    or the MAC of a machine that is not registered; without it the archive has the appliance alone. Works without a
    daemon too: what cannot be read is named in errors.txt of the archive.
    """
    if output == _STDOUT:
        if as_json or sys.stdout.isatty():
            raise click.UsageError("the archive itself goes to standard output; redirect it, and leave --json out")
        with tempfile.TemporaryFile() as file:
            asyncio.run(_receive(config, host, file))
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
        return
    directory = Path(output).parent if output else Path()
    with _temporary(directory) as (path, file):
        name = asyncio.run(_receive(config, host, file))
        file.flush()
        os.fsync(file.fileno())
        place = Path(output) if output else Path(name)
        if place.is_dir():
            raise NetbootError(f"cannot write {place}: it is a directory; name a file")
        path.replace(place)
    _print(place, as_json=as_json)


@contextmanager
def _temporary(directory: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Open a new file that its owner alone may read; delete it if it was not renamed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".netboot-support-", dir=directory)
    except OSError as error:
        raise NetbootError(f"cannot write into {directory}: {error.strerror}; name another file with -o") from error
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


async def _receive(config: Path, host: str | None, file: IO[bytes]) -> str:
    """Write an archive of the daemon's into a file, or one of files and store; return its name."""
    faults = []
    try:
        client = await daemon_at(load_settings(config).admin.socket, config)
        if client is not None:
            async with client:
                return await client.support(host, file)
        faults.append("no daemon runs: what only a daemon has is missing: status, health, metrics")
    except (NoDaemonError, DeafDaemonError, ConfigError) as error:
        faults.append(f"the daemon: is missing: {error}")
    click.echo(f"netboot: {faults[0]}; gathering from files and store", err=True)
    file.seek(0)
    file.truncate()
    async with _offline(config, faults) as archives:
        made = await archives.make(host)
    with made.file:
        await asyncio.to_thread(shutil.copyfileobj, made.file, file)
    return made.name


@asynccontextmanager
async def _offline(config: Path, faults: Sequence[str]) -> "AsyncIterator[SupportArchives]":
    """Open the store; without it the archive has what the files have."""
    from netboot.app.recorded_addresses import read_files  # slow to load
    from netboot.app.store_access import offline_stored_data
    from netboot.app.support.support_archives import SupportArchives
    from netboot.telemetry import logs

    logs.configure(level="error", form="auto")
    async with AsyncExitStack() as stack:
        try:
            configuration = (await read_files(config)).configuration()
            stored, hooks = await stack.enter_async_context(offline_stored_data(configuration))
        except (StoreError, ConfigError) as error:
            archives = SupportArchives(config, None, None, faults=[*faults, f"the store: is missing: {error}"])
        else:
            archives = SupportArchives(config, stored, hooks, faults=faults)
        yield archives


def _print(place: Path, *, as_json: bool) -> None:
    """Print what an archive has, read from it."""
    with tarfile.open(place) as archive:
        files = [{"name": member.name.partition("/")[2], "size_bytes": member.size} for member in archive]
        listed = archive.extractfile(archive.getmembers()[-1]) if files[-1]["name"] == _FAULTS else None
        faults = listed.read().decode().splitlines() if listed is not None else []
    size_bytes = place.stat().st_size
    found = {"file": str(place), "size_bytes": size_bytes, "files": files, "faults": faults}
    if not as_json:
        for fault in faults:
            click.echo(f"missing: {fault}", err=True)
    print_found(found, as_json, [f"{place}: {counted(len(files), 'file')}, {size_bytes} bytes; read README.txt in it"])
