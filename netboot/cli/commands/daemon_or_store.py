"""Opens the API of a running daemon, or the store if none runs; both have the same methods."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from netboot.admin.json_views import json_view
from netboot.control_socket import DeafDaemonError, is_answered, no_daemon
from netboot.registry.load import load_settings
from netboot.store.locks.file_lock import held_by

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration

Answer = TypeVar("Answer")

READING: Final = "read the store"
CHANGING: Final = "changed the store"
START_S: Final = 5.0  # time that a command waits for a daemon that starts
_TRY_AGAIN_S: Final = 0.1


@asynccontextmanager
async def administration(
    config: Path, *, needs_hosts: bool = True, work: str = READING
) -> AsyncIterator["Administration | ControlClient"]:
    """Open the daemon's API or the store; without a daemon, print that on stderr. Raises ConfigError.

    Without `needs_hosts`, hosts files that were never accepted may be faulty. `work` is what is done without a daemon.
    """
    # A daemon keeps the accepted hosts, so `cancel` must work while `hosts.yaml` has a fault.
    client = await daemon_at(load_settings(config).admin.socket, config)
    if client is not None:
        async with client:
            yield client
        return
    from netboot.app.recorded_addresses import read_files
    from netboot.app.store_access import offline_administration  # slow to load
    from netboot.telemetry import logs

    configuration = (await read_files(config)).configuration()
    logs.configure(level="error", form="auto")  # the command itself prints a refusal, which the audit trail logs too
    async with offline_administration(configuration, needs_hosts=needs_hosts) as offline:
        for fault in configuration.faults:
            click.echo(f"{fault} (the hosts accepted last are used, else those without a fault)", err=True)
        yield offline
    click.echo(f"netboot: no daemon runs; {work} itself; start it with systemctl start netboot", err=True)


async def daemon_at(socket: Path, config: Path) -> "ControlClient | None":
    """Connect to the daemon of `config`, also to one that starts; None: none. Raises DeafDaemonError if it is deaf."""
    for _ in range(round(START_S / _TRY_AGAIN_S)):
        if await asyncio.to_thread(is_answered, socket):
            from netboot.client import ControlClient  # its HTTP library is slow to load

            return ControlClient(socket, configuration=config, report=partial(click.echo, err=True))
        if held_by(socket) is None:
            return None
        await asyncio.sleep(_TRY_AGAIN_S)
    raise DeafDaemonError(
        f"{held_by(socket)} does not answer on {socket}; see journalctl -u netboot; "
        "if it hangs, or its socket is gone: systemctl restart netboot"
    )


async def ask_daemon(
    socket: Path, config: Path, request: Callable[["ControlClient"], Coroutine[Any, Any, Answer]]
) -> Answer | None:
    """Send a request to the daemon of `config`; None if none runs. Raises DeafDaemonError."""
    client = await daemon_at(socket, config)
    if client is None:
        return None
    async with client:
        return await request(client)


async def with_daemon(
    socket: Path, config: Path, request: Callable[["ControlClient"], Coroutine[Any, Any, Answer]]
) -> Answer:
    """Send a request to the daemon of `config`; raise NoDaemonError if none runs, DeafDaemonError."""
    client = await daemon_at(socket, config)
    if client is None:
        raise no_daemon(socket)
    async with client:
        return await request(client)


def run_with_administration(
    config: Path,
    ask: Callable[["Administration | ControlClient"], Coroutine[Any, Any, Any]],
    *,
    needs_hosts: bool = True,
    work: str = READING,
) -> Any:
    """Run `ask` on the opened administration, and return what it found as JSON has it."""

    async def run() -> Any:
        async with administration(config, needs_hosts=needs_hosts, work=work) as opened:
            return json_view(await ask(opened))

    return asyncio.run(run())
