"""`netboot install capture`: the packets and requests of a boot as a file for Wireshark."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.admin.texts.ages import ago, shown_time
from netboot.cli.commands.daemon_or_store import run_with_administration
from netboot.cli.views.output import config_and_json, counted, print_found, print_table
from netboot.errors import NetbootError

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration

_STANDARD_OUTPUT: Final = "-"


@click.command()
@click.argument("host")
@click.option("-o", "--out", metavar="FILE", help="The pcapng file to write; - is standard output.")
@click.option(
    "--boot", type=int, default=0, show_default=True, help="0 is the last boot, -1 the one before, 1 the oldest."
)
@config_and_json
def capture(config: Path, host: str, *, out: str | None, boot: int, as_json: bool) -> None:
    """Write what HOST's machine and netboot sent each other in a boot to FILE, which Wireshark opens.

    HOST is a host, or the MAC of a machine that is not registered. Without -o, the boots that have a capture are
    listed.
    """
    if out is None:
        if boot != 0:
            raise click.UsageError("--boot needs -o FILE; without it all boots are listed")
        found = run_with_administration(config, lambda daemon: daemon.captures.all(host), needs_hosts=False)
        _print_list(found, as_json)
        return
    if out == _STANDARD_OUTPUT and (as_json or sys.stdout.isatty()):
        raise click.UsageError("-o - writes the file to standard output: leave --json out, and redirect it")

    async def write(daemon: "Administration | ControlClient") -> Mapping[str, Any]:
        data = await daemon.captures.read(host, boot=boot)
        _write(out, data)
        return {"file": out, "bytes": len(data)}

    written = run_with_administration(config, write, needs_hosts=False)
    if out != _STANDARD_OUTPUT:
        print_found(written, as_json, [f"{out}: {counted(written['bytes'], 'byte')}"])


def _print_list(found: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    columns = ("BOOT", "BEGAN (UTC)", "AGE", "PACKETS", "BYTES")
    rows = [
        (
            str(boot["number"]),
            shown_time(boot["began_at"]),
            ago(boot["began_at"]),
            str(boot["packets"]),
            str(boot["bytes"]),
        )
        for boot in found
    ]
    print_table(found, as_json, columns, rows)


def _write(out: str, data: bytes) -> None:
    if out == _STANDARD_OUTPUT:
        sys.stdout.buffer.write(data)
        return
    try:
        Path(out).write_bytes(data)
    except OSError as error:
        raise NetbootError(f"cannot write {out}: {error.strerror}; name another file with -o") from error
