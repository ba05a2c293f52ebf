"""`netboot lab`: a LAN of real firmware in QEMU, with the daemon on it."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Coroutine, Mapping
from contextlib import closing
from functools import partial
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from netboot.cli.groups import Group
from netboot.cli.views.output import json_option, print_found
from netboot.errors import LabError
from netboot.lab.lab import Lab, remove_remains, require_lab_packages, run_demo, running_lab
from netboot.lab.lab_hosts import LAB_HOSTS
from netboot.lab.machines.follow import boot_to_the_end
from netboot.lab.machines.timeline import BootTimeline, ReachedStep
from netboot.lab.media.stand_ins import build_media
from netboot.lab.records import Records, all_records
from netboot.model.install.event import Step
from netboot.operate.arming import ArmRequest

DEFAULT_NAME = "lab"
_SHOWN = tuple(step for step in Step if step is not Step.FAILED)
_DOWN_S = 30.0

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")  # it names a directory and a network namespace

Result = TypeVar("Result")


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


def _checked_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise click.BadParameter("use lower-case letters, digits and hyphens, at most 32")
    return name


name_option = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, callback=_checked_name, help="The lab's name."
)


@click.group(cls=Group, short_help="Try netboot without hardware: real firmware in QEMU.")
def lab() -> None:
    """Try netboot without hardware: a separate LAN with real firmware in QEMU (needs root)."""


@lab.command(short_help="Install two empty machines, step by step.")
@json_option
def demo(as_json: bool) -> None:
    """Install two empty machines, from power-on to ready, and show each step."""
    with closing(BootView(to_stderr=as_json)) as view:
        timelines = _run(run_demo(say=view.say, on_change=view.show))
    ended = [timeline.as_json() for timeline in timelines.values()]
    print_found(ended, as_json, [f"{' and '.join(timelines)} are ready"])


@lab.command(short_help="Build the lab's boot media; later labs need no network.")
def media() -> None:
    """Build and download the lab's boot media; later labs need no network."""
    require_lab_packages()
    build_media(click.echo)


@lab.command(short_help="Start a LAN with the appliance, until `lab down`.")
@name_option
@json_option
def up(name: str, as_json: bool) -> None:
    """Start a LAN with the appliance and keep it until Ctrl-C or `netboot lab down`."""
    _run(_stay_up(name, as_json=as_json))


@lab.command(short_help="Power a machine on, follow it until it is ready.")
@click.argument("host", required=False)
@click.option(
    "--firmware",
    type=click.Choice([known.machine.firmware.value for known in LAB_HOSTS]),
    help="The machine with this firmware, instead of HOST.",
)
@click.option("--arm", is_flag=True, help="Arm the host first: its disk is written.")
@name_option
@json_option
def boot(host: str | None, firmware: str | None, arm: bool, name: str, as_json: bool) -> None:
    """Power a machine of the running lab on, follow it until it is ready, and power it off; its disk is kept."""
    if (host is None) == (firmware is None):
        raise click.UsageError("name a HOST, or a --firmware")
    if host is None:
        host = next(known.machine.name for known in LAB_HOSTS if known.machine.firmware == firmware)
    with closing(BootView(to_stderr=as_json)) as view:
        _run(_boot(_joined(name), host, arm=arm, as_json=as_json, view=view))


@lab.command()
@name_option
def down(name: str) -> None:
    """End a lab and remove it; also remove the remains of labs whose process has ended."""
    for records in all_records():
        if records.lab_id == name and records.is_running:
            os.kill(records.owner, signal.SIGTERM)
            _wait_until_ended(records)
    for removed in remove_remains():
        click.echo(f"removed the remains of lab {removed}")


async def _stay_up(name: str, *, as_json: bool) -> None:
    async with running_lab(say=partial(click.echo, err=as_json), name=name) as running:
        if as_json:
            click.echo(json.dumps(_described(running)))
        else:
            click.echo(f"lab {name} is up; in another terminal:")
            click.echo(f"  NETBOOT_CONFIG={running.appliance.paths.settings} netboot host list")
            first, *others = running.hosts
            named = "" if name == DEFAULT_NAME else f"--name {name} "
            click.echo(f"  netboot lab boot --arm {named}{first}    # or {', '.join(others)}")
            click.echo(f"  nsenter --net=/run/netns/{running.lan.namespace} tcpdump -ni br0")
        await running.appliance.wait()
        raise LabError(f"the appliance ended:\n{running.appliance.log_tail()}")


async def _boot(running: Lab, host: str, *, arm: bool, as_json: bool, view: BootView) -> None:
    guest = running.guest(host)
    async with running.appliance.control() as daemon:
        if arm:
            await daemon.arm(ArmRequest([host], "netboot lab boot --arm"))
        try:
            if arm:
                timelines = await boot_to_the_end(daemon, [guest], on_change=view.show)
                answer = timelines[host].as_json()
            else:
                console = await guest.power_on()
                await console.wait_for("netboot-lab: ready", timeout_s=180)
                answer = {"host": host, "ready": True, "seconds": round(time.monotonic() - guest.powered_on_at, 1)}
        finally:
            await guest.power_off()
    print_found(answer, as_json, [f"{host} is ready"])


def _wait_until_ended(records: Records) -> None:
    deadline = time.monotonic() + _DOWN_S
    while records.is_running:
        if time.monotonic() > deadline:
            raise LabError(f"the lab's process {records.owner} did not end in {_DOWN_S:.0f} s; end it and try again")
        time.sleep(0.1)


def _joined(name: str) -> Lab:
    """Return the lab that another process keeps up."""
    for records in all_records():
        if records.lab_id == name and records.is_running:
            return Lab(Records(name), LAB_HOSTS)
    raise LabError(f"no lab named {name} is up; start one with `netboot lab up`")


def _described(running: Lab) -> dict[str, Any]:
    return {
        "name": running.records.lab_id,
        "config": str(running.appliance.paths.settings),
        "socket": str(running.appliance.paths.socket),
        "namespace": running.lan.namespace,
        "hosts": [
            {"name": name, "mac": host.machine.mac, "firmware": host.machine.firmware, "role": host.role}
            for name, host in running.hosts.items()
        ],
    }


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end; SIGINT or SIGTERM stops it with everything cleaned up, and another one does not end that.

    Once everything is cleaned up, another one ends the process, which may wait for a thread that builds media.
    """
    received: list[signal.Signals] = []

    async def body() -> Result:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: signal.Signals) -> None:
            received.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        try:
            return await work
        finally:
            for number in (signal.SIGINT, signal.SIGTERM) if received else ():
                signal.signal(number, signal.SIG_DFL)

    try:
        return asyncio.run(body())
    except asyncio.CancelledError:
        if not received:
            raise
        raise SystemExit(128 + received[0]) from None


def _cell(timeline: BootTimeline, step: Step) -> str:
    moment = timeline.moments.get(step)
    if moment is None:
        return "[yellow]…[/]" if timeline.waits_for is step and not timeline.is_over else ""
    if step is Step.OSTREE and Step.INSTALLED not in timeline.moments:
        return f"[cyan]{timeline.percent or 0} %[/]"
    return f"[green]{moment.seconds:.1f} s[/]"
