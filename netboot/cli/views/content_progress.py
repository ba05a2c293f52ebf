"""Shows an import's progress on standard error: bars on a terminal, else a line every two seconds; JSON on request."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from netboot.content.library.progress import NO_PROGRESS, Progress, ProgressReport

_LINE_INTERVAL_S: Final = 2.0
_REPORT_INTERVAL_S: Final = 0.5

progress_option = click.option(
    "--progress", "reports", is_flag=True, hidden=True, help="Report progress as JSON lines."
)


@contextmanager
def shown_progress(*, as_json: bool, reports: bool = False) -> Iterator[Progress]:
    """Show progress on standard error; nothing for `as_json`, except JSON lines for the daemon if it `reports`."""
    console = Console(stderr=True)
    if reports:
        yield _ProgressReports()
    elif as_json:
        yield NO_PROGRESS
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            BarColumn(bar_width=20),
            DownloadColumn(table_column=Column(no_wrap=True)),
            TransferSpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
        )
        with RichProgress(*columns, console=console, expand=True) as bars:
            yield _Bars(bars)
    else:
        yield _ProgressLines()


class _Bars(Progress):
    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def step(self, what: str, total_bytes: int) -> None:
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._task = self._bars.add_task(what, total=total_bytes or None)

    def advance(self, size_bytes: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, size_bytes)


class _ProgressReports(Progress):
    def __init__(self) -> None:
        self._report = ProgressReport("", 0, 0)
        self._printed_at = time.monotonic()

    def step(self, what: str, total_bytes: int) -> None:
        self._report = ProgressReport(what, 0, total_bytes)
        self._print()

    def advance(self, size_bytes: int) -> None:
        self._report = replace(self._report, done_bytes=self._report.done_bytes + size_bytes)
        if time.monotonic() - self._printed_at >= _REPORT_INTERVAL_S:
            self._print()

    def _print(self) -> None:
        self._printed_at = time.monotonic()
        click.echo(self._report.line(), err=True)


class _ProgressLines(Progress):
    def __init__(self) -> None:
        self._what = ""
        self._total = self._done = 0
        self._began = self._printed_at = time.monotonic()

    def step(self, what: str, total_bytes: int) -> None:
        self._what, self._total, self._done = what, total_bytes, 0
        self._began = self._printed_at = time.monotonic()
        click.echo(what, err=True)

    def advance(self, size_bytes: int) -> None:
        self._done += size_bytes
        now = time.monotonic()
        if now - self._printed_at >= _LINE_INTERVAL_S:
            self._printed_at = now
            click.echo(progress_line(self._what, self._done, self._total, seconds=now - self._began), err=True)


def progress_line(what: str, done: int, total: int, *, seconds: float) -> str:
    """Write one line: share, bytes, bytes per second, time left."""
    rate = done / max(seconds, 0.001)
    if not total:
        return f"{what}: {done / 1e6:.0f} MB, {rate / 1e6:.0f} MB/s"
    share = f"{min(100, done * 100 // total)} %, {done / 1e6:.0f} of {total / 1e6:.0f} MB"
    left_s = max(0, total - done) / max(rate, 1.0)
    return f"{what}: {share}, {rate / 1e6:.0f} MB/s, {left_s:.0f} s left"
