"""How the lab shows machines that boot: a live table on a terminal, a line for each step elsewhere."""

import time
from collections.abc import Mapping

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from netboot.lab.machines.timeline import BootTimeline, ReachedStep
from netboot.model.install.event import Step

_SHOWN = tuple(step for step in Step if step is not Step.FAILED)


class BootView:
    """Shows timelines as they grow; `to_stderr` for `--json`."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        self._console = Console(stderr=to_stderr)
        self._to_stderr = to_stderr
        self._live: Live | None = None
        self._started = time.monotonic()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print a line of progress before the machines are on."""
        click.echo(line, err=self._to_stderr)

    def show(self, timelines: Mapping[str, BootTimeline], moment: ReachedStep | None) -> None:
        """Show a change; `moment` is None if only time has passed."""
        if self._to_stderr:
            return
        if self._console.is_terminal:
            if self._live is None:
                self._started = time.monotonic()
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(self._table(timelines), refresh=True)
        elif moment is not None:
            click.echo(f"{moment.seconds:7.1f} s  {moment.host:<6} {moment.step:<12} {moment.note}".rstrip())

    def _table(self, timelines: Mapping[str, BootTimeline]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(f"{time.monotonic() - self._started:.0f} s")
        for name in timelines:
            table.add_column(name, justify="right", min_width=12)
        for step in _SHOWN:
            table.add_row(step, *(_cell(timeline, step) for timeline in timelines.values()))
        return table


def _cell(timeline: BootTimeline, step: Step) -> str:
    moment = timeline.moments.get(step)
    if moment is None:
        return "[yellow]…[/]" if timeline.waits_for is step and not timeline.is_over else ""
    if step is Step.OSTREE and Step.INSTALLED not in timeline.moments:
        return f"[cyan]{timeline.percent or 0} %[/]"
    return f"[green]{moment.seconds:.1f} s[/]"
