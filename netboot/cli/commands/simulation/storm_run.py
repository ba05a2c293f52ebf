"""Plays a boot storm: many machines at once against a live server, and what that cost a daemon of this computer."""

import asyncio
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from netboot.cli.commands.simulation.api_access import appliance_api
from netboot.cli.commands.simulation.interface_choice import addresses_here, chosen_interface
from netboot.cli.commands.simulation.simulation_run import SimulationRequest
from netboot.cli.views.output import counted, print_json
from netboot.cli.views.simulation.storm_view import StormReport, progress_line, storm_json, storm_lines
from netboot.errors import NetbootError
from netboot.model.words import printable
from netboot.probe.boot import BootOutcome, simulate_boot
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.machine import SimulatedMachine
from netboot.probe.machine_boot import SimulationEnd
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.storm.server_load import server_load, use_between
from netboot.probe.storm.storm import Storm
from netboot.probe.storm.storm_figures import StormBoot, figures_of
from netboot.probe.storm.storm_machines import StormMachine, StormRefusedError, storm_machines
from netboot.probe.storm.storm_plot import storm_plot

_PROGRESS_S: Final = 0.5
_PROGRESS_IN_A_FILE_S: Final = 10.0
_STORED_S: Final = 1.5  # in which the daemon stores what it recorded last
_FILES_PER_MACHINE: Final = 8
_WHOLE: Final = {SimulationEnd.READY, SimulationEnd.REACHED, SimulationEnd.SWITCHED_OFF}
_NOT_PERMITTED: Final = {SimulationEnd.BEFORE_SCRIPT, SimulationEnd.BEFORE_TOKEN}
_CURE: Final = (
    "register and arm the machines (--print-hosts prints their hosts file); "
    "netboot install show NAME says why one waits"
)
_NOT_SPENT: Final = (
    "without --spend no machine requests its script, which could spend an arming: each one ends with its loader"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormRequest:
    """What the operator requests: what each machine plays, how many there are, and where the plot is written."""

    simulation: SimulationRequest
    hosts: int
    within_s: float
    plot: Path | None = None


async def play_storm(config: Path, request: StormRequest, *, as_json: bool) -> int:
    """Play the storm and print its figures; return the exit code: 1 if a machine failed."""
    played = request.simulation
    machines = storm_machines(request.hosts, played.address)
    interface = chosen_interface(played.interface, await addresses_here())
    _permit_open_files(request.hosts)
    async with appliance_api(config, played.server) as client:
        pid = int((await client.status())["pid"]) if client is not None and played.server is None else None
        if client is not None and not played.spends:
            _refuse_hosts(await client.hosts(), machines)
    before = server_load(pid) if pid is not None else None
    began_s = time.monotonic()
    boots = await _played(request, machines, interface)
    total_s = time.monotonic() - began_s
    if before is not None:
        await asyncio.sleep(_STORED_S)
    after = server_load(pid) if pid is not None else None
    note = "" if played.spends else _NOT_SPENT
    report = StormReport(
        played.profile, interface, played.until, note, figures_of(boots, total_s=total_s), use_between(before, after)
    )
    if request.plot is not None:
        title = f"{request.hosts} machines with {played.profile.name} at once, to {played.until}"
        _write(request.plot, storm_plot(boots, report.figures, title=title))
    _print(report, as_json=as_json)
    return 0 if not report.figures.failures else 1


def _refuse_hosts(hosts: Sequence[Mapping[str, Any]], machines: Sequence[StormMachine]) -> None:
    """Raise StormRefusedError for machines that are registered: what they send changes their hosts' installs."""
    macs = {str(each.mac) for each in machines}
    found = [host["name"] for host in hosts if macs.intersection(host["macs"])]
    if found:
        raise StormRefusedError(
            f"{counted(len(found), 'machine')} of the storm {'are hosts' if len(found) > 1 else 'is a host'} "
            f"({', '.join(found[:5])}{', …' if len(found) > 5 else ''}), and what they send changes their installs; "
            "add --spend, or remove the hosts file"
        )


async def _played(request: StormRequest, machines: Any, interface: str) -> list[StormBoot]:
    """Boot every machine on one interface, while a line shows the progress."""
    played = request.simulation
    async with LanInterface.open(interface, impairment=played.impairment, seed=played.seed) as lan:

        async def boot(machine: StormMachine, timeline: MachineTimeline) -> BootFailedError | None:
            simulated = SimulatedMachine(
                machine.mac, machine.uuid, played.profile, lan, timeline, played.behaviour, machine.address
            )
            outcome = await simulate_boot(simulated, until=played.until, spends=played.spends)
            return _failure(outcome, spends=played.spends)

        storm = Storm(machines, boot, within_s=request.within_s)
        progress = asyncio.create_task(_show_progress(storm))
        try:
            return [*await storm.run()]
        finally:
            progress.cancel()
            with suppress(asyncio.CancelledError):
                await progress
            _show_line(storm, is_last=True)


def _failure(outcome: BootOutcome, *, spends: bool) -> BootFailedError | None:
    """Return why a machine did not get to the end that it was to reach."""
    if outcome.failure is not None or outcome.end in _WHOLE or (outcome.end in _NOT_PERMITTED and not spends):
        return outcome.failure
    return BootFailedError(outcome.ended_at, outcome.sentence, cure=_CURE)


async def _show_progress(storm: Storm) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_S if sys.stderr.isatty() else _PROGRESS_IN_A_FILE_S)
        _show_line(storm)


def _show_line(storm: Storm, *, is_last: bool = False) -> None:
    """Write the progress to standard error: over the previous line on a terminal."""
    line = progress_line(storm.progress, len(storm.machines))
    if sys.stderr.isatty():
        click.echo(f"\r{line}\x1b[K", err=True, nl=is_last)
    else:
        click.echo(line, err=True)


def _permit_open_files(hosts: int) -> None:
    """Raise the limit of open files to what the machines need, if this user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hosts * _FILES_PER_MACHINE + 100
    if wanted <= soft:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise StormRefusedError(
            f"{hosts} machines need {wanted} open files, and {hard} are permitted; play fewer, or run "
            f"prlimit --nofile={wanted} netboot simulate …"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NetbootError(f"cannot write the plot {file}: {error.strerror}; choose another file") from error


def _print(report: StormReport, *, as_json: bool) -> None:
    if as_json:
        print_json(storm_json(report))
        return
    for line in storm_lines(report):
        click.echo(printable(line))
