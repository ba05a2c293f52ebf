"""`netboot install logs`: what a machine logged in a boot, with the steps of the boot, and what it logs now."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netboot.admin.json_views import json_view
from netboot.boot_records.shown_logs import NoLogError
from netboot.cli.commands.daemon_or_store import run_with_administration
from netboot.cli.views.log_view import LogView
from netboot.cli.views.output import config_and_json
from netboot.control_socket import RefusedError

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration

View = Mapping[str, Any]


@click.command()
@click.argument("host")
@click.option("--follow", is_flag=True, help="Print later lines and boots as they come, until Ctrl-C.")
@click.option(
    "--boot", type=int, default=0, show_default=True, help="0 is the last boot, -1 the one before, 1 the oldest."
)
@config_and_json
def logs(config: Path, host: str, *, follow: bool, boot: int, as_json: bool) -> None:
    """Print what HOST's machine logged in a boot, and the steps of the boot, by time.

    HOST is a host, or the MAC of a machine that is not registered. --json prints each line of the log as an object.
    """
    if follow and boot != 0:
        raise click.UsageError("--follow prints the last boot; leave --boot out")

    async def show(daemon: "Administration | ControlClient") -> None:
        await _ShownLog(daemon, host, LogView(as_json=as_json), with_steps=not as_json).show(boot, follow=follow)

    run_with_administration(config, show, needs_hosts=False)


@dataclass(slots=True)
class _ShownLog:
    """A log that is printed, and how far it was."""

    daemon: "Administration | ControlClient"
    host: str
    view: LogView
    with_steps: bool
    boot: View | None = None
    lines: int = 0
    last_event_id: int = 0

    async def show(self, boot: int, *, follow: bool) -> None:
        """Print what is stored, then what comes."""
        try:
            await self._show_stored(boot)
        except (NoLogError, RefusedError) as error:
            if not (follow and error.code == NoLogError.code):
                raise
            self.last_event_id = await self.daemon.last_event_id()
            click.echo(f"{self.host} has logged nothing yet; waiting", err=True)
        if follow:
            await self._follow()

    async def _show_stored(self, boot: int) -> None:
        async with aclosing(_views(self.daemon.logs.show(self.host, boot=boot))) as found:
            self.boot = await anext(found)
            self.view.show(self.boot)
            lines = [line async for line in found]
        self.lines = len(lines)
        steps = [event async for event in self._events(self.boot, follow=False)]
        for each in merge(lines, steps, key=lambda each: each["at"]):
            self.view.show(each)

    async def _follow(self) -> None:
        lines = self._new_lines()
        machine = self.boot["machine"] if self.boot is not None else self.host
        streams = [lines, self._events({"machine": machine, "began_at": "", "ended_at": None}, follow=True)]
        async with aclosing(_joined(*streams)) as found:
            async for each in found:
                self.view.show(each)

    async def _new_lines(self) -> AsyncGenerator[View, None]:
        """Yield later lines and boots: the stream begins with what is printed already."""
        known, left = (self.boot or {}).get("began_at"), self.lines
        async with aclosing(_views(self.daemon.logs.show(self.host, follow=True))) as found:
            async for each in found:
                if "began_at" in each:
                    left = left if each["began_at"] == known else 0
                    if each["began_at"] == known:
                        continue
                elif left:
                    left -= 1
                    continue
                yield each

    async def _events(self, boot: View, *, follow: bool) -> AsyncGenerator[View, None]:
        """Yield the events of a boot, with `follow` all later ones; none of a machine that is not registered."""
        if not self.with_steps or ":" in boot["machine"]:
            if follow:
                await asyncio.Event().wait()
            return
        after = self.last_event_id
        async with aclosing(_views(self.daemon.events(after=after, host=boot["machine"], follow=follow))) as events:
            async for event in events:
                self.last_event_id = event["id"]
                if boot["began_at"] <= event["at"] and not (boot["ended_at"] and event["at"] >= boot["ended_at"]):
                    yield event


async def _views(found: AsyncIterator[Any]) -> AsyncGenerator[View, None]:
    """Yield what an API found as JSON has it, without its beats."""
    async for each in found:
        if each is not None:
            yield json_view(each)


async def _joined(*streams: AsyncGenerator[View, None]) -> AsyncGenerator[View, None]:
    """Yield what comes of each stream; end with the first that ends, and raise what it raises."""
    pending = {asyncio.ensure_future(anext(stream)): stream for stream in streams}
    try:
        while True:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream = pending.pop(task)
                try:
                    found = task.result()
                except StopAsyncIteration:
                    return
                pending[asyncio.ensure_future(anext(stream))] = stream
                yield found
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
