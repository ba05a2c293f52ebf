"""`netboot simulate --replay`: plays a recorded boot against a live server and prints each answer that differs."""

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path

import click

from netboot.cli.commands.simulation.api_access import appliance_api
from netboot.cli.commands.simulation.simulation_run import SimulationRequest, SimulationRun, begin_run
from netboot.cli.views.output import print_json
from netboot.cli.views.simulation.replay_view import ReplayReport, replay_lines, replay_view
from netboot.model.host.mac import Mac
from netboot.probe.lan.lan_interface import LanInterface
from netboot.probe.machine import SimulatedMachine
from netboot.probe.machine_timeline import MachineTimeline
from netboot.probe.replay.capture_file import read_capture
from netboot.probe.replay.recorded_boot import RecordedBoot, recorded_boot
from netboot.probe.replay.replayed_boot import Replay
from netboot.probe.scope.simulation_scope import Scope, SimulationRefusedError


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What the operator requests: the capture, and which of its machines if it has several."""

    simulation: SimulationRequest
    file: Path
    recorded_mac: Mac | None = None


async def play_replay(config: Path, request: ReplayRequest, *, as_json: bool) -> int:
    """Play the recorded boot and print the differences; return the exit code: 1 for a difference or a failure."""
    recorded = await asyncio.to_thread(lambda: recorded_boot(read_capture(request.file), mac=request.recorded_mac))
    simulation = request.simulation
    if simulation.spends and simulation.mac is None:
        simulation = replace(simulation, mac=recorded.mac)
    async with appliance_api(config, simulation.server) as client:
        run = await begin_run(client, simulation, as_json=as_json)
        report = await _played(run, recorded, request.file)
    if as_json:
        print_json(replay_view(report))
    else:
        for line in replay_lines(report):
            click.echo(line)
    return 0 if report.is_right else 1


async def _played(run: SimulationRun, recorded: RecordedBoot, file: Path) -> ReplayReport:
    mac, request = run.played.mac, run.request
    if run.scope is Scope.REHEARSAL:
        raise SimulationRefusedError(
            f"{run.host} is registered with {mac}, and a replay sends what its machine sent; leave --mac out, or add "
            "--spend"
        )
    notes = run.notes
    run.report(f"{file}, the boot of {recorded.mac}, played as {mac} on {run.interface}")
    for note in notes:
        run.report(f"note: {note}")
    async with LanInterface.open(run.interface, impairment=request.impairment, seed=request.seed) as lan:
        timeline = MachineTimeline(time.monotonic, report=run.show)
        machine = SimulatedMachine(mac, run.uuid, request.profile, lan, timeline, request.behaviour, request.address)
        outcome = await Replay(machine, recorded, run.permissions, spends=request.spends).play()
    return ReplayReport(file, recorded, mac, run.interface, notes, timeline, outcome)
