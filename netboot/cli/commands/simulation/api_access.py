"""Finds the API of the appliance that a simulation plays against: --api URL, else the daemon of --config."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from netboot.cli.commands.daemon_or_store import daemon_at
from netboot.control_socket import ApiServer
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.client import ControlClient

_LONGEST_TOKEN: Final = 4096


def api_server(url: str, *, token_file: Path | None, authority: Path | None) -> ApiServer:
    """Read the options of an API over the network; raise BadParameter."""
    try:
        server = ApiServer.parse(url, token=_token(token_file), authority=authority)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--api") from error
    try:
        server.tls()
    except OSError as error:  # also of ssl
        text = f"cannot read certificates in {authority}: {error}"
        raise click.BadParameter(text, param_hint="--ca") from error
    return server


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        with file.open(encoding="ascii") as opened:
            token = opened.read(_LONGEST_TOKEN).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"cannot read an API token in {file}: {error}", param_hint="--token-file") from error
    if not token or not token.isprintable() or " " in token:
        text = f"{file} has no API token; netboot token create NAME --role read-only prints one"
        raise click.BadParameter(text, param_hint="--token-file")
    return token


@asynccontextmanager
async def appliance_api(config: Path, server: ApiServer | None) -> AsyncIterator["ControlClient | None"]:
    """Open the API of the appliance; None if none is at hand. Raises NetbootError if one is and does not answer."""
    if server is not None:
        from netboot.client import ControlClient  # its HTTP library is slow to load

        async with ControlClient(server, report=partial(click.echo, err=True)) as client:
            await client.status()
            yield client
        return
    found = (
        await daemon_at(load_settings(config).admin.socket, config) if await asyncio.to_thread(config.exists) else None
    )
    if found is None:
        yield None
        return
    async with found:
        yield found
