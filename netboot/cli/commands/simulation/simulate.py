"""`netboot simulate`: plays one machine against a live server, and compares both sides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from netboot.cli.commands.simulation.api_access import api_server
from netboot.cli.commands.simulation.option_values import read_address, read_mac, read_rate
from netboot.cli.commands.simulation.replay_options import ReplayOptions, replay_options
from netboot.cli.commands.simulation.replay_run import play_replay
from netboot.cli.commands.simulation.simulation_run import SimulationRequest, run_to_the_end, simulate_machine
from netboot.cli.commands.simulation.storm_options import StormOptions, storm_options
from netboot.cli.commands.simulation.storm_run import play_storm
from netboot.cli.views.output import config_and_json, print_found
from netboot.control_socket import ApiServer
from netboot.model.host.mac import Mac
from netboot.model.install.event import Step
from netboot.probe.behaviours import BEHAVIOURS, behaviour_of
from netboot.probe.firmwares.profiles import PROFILES, profile_named
from netboot.probe.lan.impairment import Impairment

Command = TypeVar("Command", bound=Callable[..., Any])
Row = Mapping[str, str]

DEFAULT_FIRMWARE: Final = "edk2-pxe"
_LISTED: Final = "netboot.simulate.listed"
_STEPS: Final = [step.value for step in Step if step is not Step.FAILED]


def _lists(option: str, rows: Callable[[], Sequence[Row]], text: str) -> Callable[[Command], Command]:
    """Make an option with which the command prints a list, and nothing else."""

    def show(context: click.Context, _parameter: click.Parameter, is_set: bool) -> None:
        if is_set:
            context.meta[_LISTED] = rows()  # printed by the command, after it read --json

    return click.option(option, is_flag=True, expose_value=False, callback=show, help=text)


def _row_line(row: Row) -> str:
    source = f"  [{row['source']}]" if "source" in row else ""
    return f"{row['name']:<24}{row['title']}{source}"


def _firmwares() -> Sequence[Row]:
    return [{"name": each.name, "title": each.title, "source": each.source} for each in PROFILES.values()]


def _behaviours() -> Sequence[Row]:
    return [{"name": each.name, "title": each.title} for each in BEHAVIOURS]


def _machine_options(command: Command) -> Command:
    """Add the options of the machine and of its link."""
    options: Iterable[Callable[[Command], Command]] = (
        click.option(
            "--firmware",
            type=click.Choice([*PROFILES]),
            metavar="NAME",
            default=DEFAULT_FIRMWARE,
            show_default=True,
            help="The firmware to play; --list-firmware lists them.",
        ),
        click.option(
            "--mac", metavar="MAC", callback=read_mac, help="Its MAC. Default: one that no network card has, 02:6e:62:…"
        ),
        click.option("--interface", metavar="IF", help="The interface. Default: the only one with an IPv4 address."),
        click.option(
            "--address", metavar="CIDR", callback=read_address, help="Its address, for a LAN without a DHCP server."
        ),
        click.option(
            "--slow", metavar="RATE", callback=read_rate, help="The bytes that it receives each second, as 500k or 10M."
        ),
        click.option(
            "--loss",
            type=click.FloatRange(0, 90),
            metavar="PERCENT",
            default=0.0,
            help="Percent of its datagrams that are lost.",
        ),
        click.option(
            "--behave",
            type=click.Choice([each.name for each in BEHAVIOURS]),
            metavar="NAME",
            multiple=True,
            help="A deviation, as an abort; may be repeated. --list-behaviours lists them.",
        ),
        click.option(
            "--haste",
            type=click.FloatRange(1, 100),
            metavar="NUMBER",
            default=1.0,
            show_default=True,
            help="Divide the waits of the firmware by this number; 1 is as the real one waits.",
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="Which datagrams are lost or reordered."),
        _lists("--list-behaviours", _behaviours, "List the deviations of --behave, and end."),
        _lists("--list-firmware", _firmwares, "List the firmware that can be played, with its source, and end."),
    )
    for option in reversed([*options]):
        command = option(command)
    return command


def _api_options(command: Command) -> Command:
    """Add the options of the appliance's API."""
    file = click.Path(path_type=Path, dir_okay=False)
    options: Iterable[Callable[[Command], Command]] = (
        click.option(
            "--api", metavar="URL", help="The appliance's API, as https://HOST:8470. Default: that of --config."
        ),
        click.option(
            "--token-file", type=file, metavar="FILE", help="An API token for --api; role read-only suffices."
        ),
        click.option("--ca", type=file, metavar="FILE", help="The CA of --api. Default: those of this computer."),
    )
    for option in reversed([*options]):
        command = option(command)
    return command


@click.command(short_help="Play a machine's boot against a live server, and compare both sides.")
@_machine_options
@click.option(
    "--until",
    type=click.Choice(_STEPS),
    metavar="STEP",
    default=Step.READY.value,
    show_default=True,
    help="The last step: offer, loader, script, kernel, kickstart, ostree, installed, … as in `install watch`.",
)
@click.option("--spend", is_flag=True, help="Play a registered host's whole boot: an arming is spent by its script.")
@click.option("--force", is_flag=True, help="With --spend: also while a boot of this machine runs.")
@storm_options
@replay_options
@_api_options
@config_and_json
def simulate(
    config: Path,
    as_json: bool,
    *,
    firmware: str,
    mac: Mac | None,
    interface: str | None,
    address: IPv4Interface | None,
    slow: float | None,
    loss: float,
    behave: Sequence[str],
    haste: float,
    seed: int,
    until: str,
    spend: bool,
    force: bool,
    storm: StormOptions,
    replay: ReplayOptions,
    api: str | None,
    token_file: Path | None,
    ca: Path | None,
) -> None:
    """Play the boot of one machine against a live netboot, from the first DHCP packet to `ready`, without hardware.

    It sends what this firmware, its loader and the installer send, obeys what they obey, and compares the server's
    record of the boot with its own. Run it as root on a computer of the boot LAN that is not the appliance.

    \b
    netboot simulate                                   an unregistered machine with UEFI
    netboot simulate --firmware bios --until loader    how far a BIOS gets
    netboot simulate --mac MAC-OF-cp1                  would cp1 be installed? Nothing is sent as cp1
    netboot simulate --mac MAC-OF-cp1 --spend          the whole install of the armed host cp1
    netboot simulate --hosts 500 --spend --plot s.svg  a boot storm; --print-hosts prints their hosts file
    netboot simulate --replay boot.pcapng              a recorded boot again; install capture records one

    Nothing is sent as a registered host, and no arming is spent, unless you add --spend; docs/simulate.md has what the
    server records. Exit code 0: everything as it must be; 1: a failure or a difference; 2: wrong usage.
    """
    if (listed := click.get_current_context().meta.get(_LISTED)) is not None:
        print_found(listed, as_json, map(_row_line, listed))
        return
    if force and not spend:
        raise click.UsageError("--force belongs to --spend")
    replay.verify(plays_otherwise=storm.hosts is not None or bool(behave) or until != Step.READY.value)
    storm.verify_or_list(mac, address, as_json=as_json)
    request = SimulationRequest(
        profile=profile_named(firmware),
        until=Step(until),
        mac=mac,
        interface=interface,
        address=address,
        behaviour=behaviour_of(behave, bytes_per_s=slow, haste=haste),
        impairment=Impairment(loss=loss / 100, bytes_per_s=slow),
        seed=seed,
        is_deviant=bool(behave) or loss > 0,
        spends=spend,
        disturbs=force,
        server=_server(api, token_file, authority=ca),
    )
    raise SystemExit(run_to_the_end(_simulation(config, request, storm, replay, as_json=as_json)))


def _server(api: str | None, token_file: Path | None, *, authority: Path | None) -> ApiServer | None:
    if api is not None:
        return api_server(api, token_file=token_file, authority=authority)
    if token_file is not None or authority is not None:
        raise click.UsageError("--token-file and --ca belong to --api URL")
    return None


async def _simulation(
    config: Path, request: SimulationRequest, storm: StormOptions, replay: ReplayOptions, *, as_json: bool
) -> int:
    """Play one machine, a recorded boot, or many machines; return the exit code."""
    if (recorded := replay.request(request)) is not None:
        return await play_replay(config, recorded, as_json=as_json)
    if (many := storm.request(request)) is not None:
        return await play_storm(config, many, as_json=as_json)
    return await simulate_machine(config, request, as_json=as_json)
