"""The options of `netboot simulate` for many machines at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, TypeVar

import click

from netboot.cli.commands.simulation.simulation_run import SimulationRequest
from netboot.cli.commands.simulation.storm_run import StormRequest
from netboot.cli.views.output import print_found
from netboot.model.host.mac import Mac
from netboot.probe.storm.storm_machines import MOST_HOSTS, hosts_file, storm_machines

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class StormOptions:
    """What the options say; `hosts` is None for a single machine."""

    hosts: int | None
    within_s: float
    plot: Path | None
    prints_hosts: bool

    def verify_or_list(self, mac: Mac | None, first_address: IPv4Interface | None, *, as_json: bool) -> None:
        """Raise UsageError for options that exclude or need each other; with --print-hosts, print and end."""
        if self.hosts is None and (self.plot is not None or self.prints_hosts):
            raise click.UsageError("--plot and --print-hosts belong to --hosts N")
        if self.hosts is not None and mac is not None:
            raise click.UsageError("the machines of --hosts have MACs of their own; leave --mac out")
        if not self.prints_hosts or self.hosts is None:
            return
        machines = storm_machines(self.hosts, first_address)
        found = [
            {"name": each.name, "mac": each.mac, "address": None if each.address is None else str(each.address)}
            for each in machines
        ]
        print_found(found, as_json, hosts_file(machines).splitlines())
        click.get_current_context().exit()

    def request(self, simulation: SimulationRequest) -> StormRequest | None:
        """Return the storm to play; None for a single machine."""
        if self.hosts is None:
            return None
        return StormRequest(simulation=simulation, hosts=self.hosts, within_s=self.within_s, plot=self.plot)


def storm_options(command: Command) -> Command:
    """Add the options, and pass them as `storm`."""

    @wraps(command)
    def with_storm(
        *arguments: Any, hosts: int | None, within: float, plot: Path | None, print_hosts: bool, **others: Any
    ) -> Any:
        return command(*arguments, storm=StormOptions(hosts, within, plot, print_hosts), **others)

    options: Iterable[Callable[[Any], Any]] = (
        click.option(
            "--hosts", type=click.IntRange(1, MOST_HOSTS), metavar="N", help="A boot storm: so many machines at once."
        ),
        click.option(
            "--within",
            type=click.FloatRange(0, 3600),
            metavar="SECONDS",
            default=1.0,
            show_default=True,
            help="With --hosts: the time in which they are powered on.",
        ),
        click.option(
            "--plot",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="With --hosts: write the storm as SVG.",
        ),
        click.option("--print-hosts", is_flag=True, help="With --hosts: print a hosts file of the machines, and end."),
    )
    wrapped: Any = with_storm
    for option in reversed([*options]):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]
