"""`netboot install history`, and what `install watch` shows of boots while they run."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.admin.json_views import json_view
from netboot.admin.texts.ages import shown_time
from netboot.cli.commands.daemon_or_store import run_with_administration
from netboot.cli.views.boots.boot_view import (
    HISTORY_COLUMNS,
    RUNNING_COLUMNS,
    StatusLine,
    change_of,
    history_rows,
    running_line,
    running_row,
    timeline_lines,
)
from netboot.cli.views.output import config_and_json, print_found, print_table, rich_table
from netboot.errors import NetbootError

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration

View = Mapping[str, Any]

EVERY_S: Final = 1.0  # how often the state of running boots is requested
MOVE_COLUMNS: Final = ("AT (UTC)", "WHAT", "FROM", "TO", "NOTE", "BY")


@click.command()
@click.argument("host")
@click.option("--boots", is_flag=True, help="List the boots instead, with the durations of their steps and their ends.")
@click.option("--boot", type=int, help="Show the timeline of one boot: 0 is the last, -1 the one before, 1 the oldest.")
@config_and_json
def history(config: Path, host: str, *, boots: bool, boot: int | None, as_json: bool) -> None:
    """List every transition of HOST's install, oldest first, with reason and actor; or the boots of its machine.

    The reason is an operator's, or the first line of a report. With --boots and --boot, HOST is a host, or the MAC of a
    machine that is not registered.
    """
    if boots and boot is not None:
        raise click.UsageError("give --boots or --boot")

    async def ask(daemon: "Administration | ControlClient") -> Any:
        if boot is not None:
            return await daemon.boots.show(host, boot=boot)
        return await daemon.boots.all(host) if boots else await daemon.history(host)

    found = run_with_administration(config, ask, needs_hosts=False)
    if boot is not None:
        print_found(found, as_json, timeline_lines(found))
    elif boots:
        print_table(found, as_json, HISTORY_COLUMNS, history_rows(found))
    else:
        print_table(found, as_json, MOVE_COLUMNS, map(_move_row, found))


def _move_row(move: View) -> tuple[str, ...]:
    by = f"{move['actor']} ({move['source']})" if move["actor"] else ""
    return shown_time(move["at"]), move["what"], move["from"], move["to"], move["reason"], by


async def show_status(daemon: "ControlClient", host: str, line: StatusLine) -> None:
    """Show how far the running boot of a host is, until cancelled. The stream of events reports a daemon that ends."""
    while True:
        boot = None
        with suppress(NetbootError):
            boot = await daemon.boots.show(host)
        line.show(boot)
        await asyncio.sleep(EVERY_S)


def watch_all(config: Path, *, follow: bool, as_json: bool) -> None:
    """Show every boot that runs: on a terminal a table that is replaced, else a line for each change."""

    async def ask(daemon: "Administration | ControlClient") -> None:
        if not follow:
            boots = json_view(await daemon.boots.running())
            print_table(boots, as_json, RUNNING_COLUMNS, map(running_row, boots))
            return
        from netboot.client import ControlClient  # its HTTP library is slow to load

        if not isinstance(daemon, ControlClient):
            raise NetbootError("no daemon runs, so nothing will happen; netboot serve, or watch with --no-follow")
        async with AsyncExitStack() as stack:
            watch = AllBoots(daemon, as_json=as_json)
            if sys.stdout.isatty() and not as_json:
                stack.callback(watch.begin_table())
            while True:
                await watch.show()
                await asyncio.sleep(EVERY_S)

    run_with_administration(config, ask, needs_hosts=False)


class AllBoots:
    """The boots that run, each printed when it changes, and once more when it has ended."""

    def __init__(self, daemon: "ControlClient", *, as_json: bool) -> None:
        self._daemon, self._as_json = daemon, as_json
        self._shown: dict[str, tuple[object, ...]] = {}
        self._update: Callable[[Any], None] | None = None

    def begin_table(self) -> Callable[[], None]:
        """Show a table on the terminal; return what ends it."""
        from rich.live import Live  # slow to load

        live = Live(auto_refresh=False)
        live.start()
        self._update = lambda table: live.update(table, refresh=True)
        return live.stop

    async def show(self) -> None:
        """Request the boots that run, and show what has changed."""
        boots = await self._daemon.boots.running()
        names = [boot["host"] or boot["mac"] for boot in boots]
        ended = [await self._ended(name) for name in self._shown.keys() - set(names)]
        changed = [boot for boot, name in zip(boots, names, strict=True) if change_of(boot) != self._shown.get(name)]
        self._shown = dict(zip(names, map(change_of, boots), strict=True))
        for boot in [*filter(None, ended), *(changed if self._update is None else ())]:
            click.echo(json.dumps(boot, ensure_ascii=False) if self._as_json else running_line(boot))
        if self._update is not None:
            self._update(rich_table(RUNNING_COLUMNS, map(running_row, boots)))

    async def _ended(self, name: str) -> View | None:
        try:
            return await self._daemon.boots.show(name)
        except NetbootError:  # its host was removed, or it is no longer kept
            return None
