"""The options of `netboot simulate` for a recorded boot."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from netboot.cli.commands.simulation.option_values import read_mac
from netboot.cli.commands.simulation.replay_run import ReplayRequest
from netboot.cli.commands.simulation.simulation_run import SimulationRequest
from netboot.model.host.mac import Mac

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the options say; `file` is None if nothing is replayed."""

    file: Path | None
    recorded_mac: Mac | None

    def verify(self, *, plays_otherwise: bool) -> None:
        """Raise UsageError for options that exclude or need each other."""
        if self.recorded_mac is not None and self.file is None:
            raise click.UsageError("--recorded-mac belongs to --replay FILE")
        if self.file is not None and plays_otherwise:
            raise click.UsageError("--replay plays what was recorded; leave --hosts, --behave and --until out")

    def request(self, simulation: SimulationRequest) -> ReplayRequest | None:
        """Return the boot to replay; None without one."""
        return None if self.file is None else ReplayRequest(simulation, self.file, self.recorded_mac)


def replay_options(command: Command) -> Command:
    """Add the options, and pass them as `replay`."""

    @wraps(command)
    def with_replay(*arguments: Any, replay: Path | None, recorded_mac: Mac | None, **others: Any) -> Any:
        return command(*arguments, replay=ReplayOptions(replay, recorded_mac), **others)

    wrapped: Any = click.option(
        "--recorded-mac", metavar="MAC", callback=read_mac, help="With --replay: whose boot, if FILE has several."
    )(with_replay)
    file = click.Path(path_type=Path, dir_okay=False)
    text = "Play the boot in a capture (pcap, pcapng), and compare each answer with the recorded one."
    return click.option("--replay", type=file, metavar="FILE", help=text)(wrapped)  # type: ignore[no-any-return]
