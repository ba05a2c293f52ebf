"""`netboot doctor`: checks this appliance, its configuration, its content and the LAN before a machine boots."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from netboot.cli.commands.appliance.configuration_checks import (
    CheckedConfiguration,
    check_configuration,
    unwritten_configuration,
)
from netboot.cli.commands.appliance.examined.examined_content import content_report
from netboot.cli.commands.appliance.examined.examined_host import host_report
from netboot.cli.commands.appliance.listening import run_listening
from netboot.cli.views.doctor_view import report_lines, report_view
from netboot.cli.views.output import config_and_json, print_found
from netboot.doctor.box.examine_box import examine_box
from netboot.doctor.configuration.configuration_findings import configuration_report, faults_report
from netboot.doctor.doctor_finding import Area, AreaReport, Level
from netboot.doctor.lan.examine_lan import DEFAULT_SECONDS, examine_lan
from netboot.doctor.lan.lan_inputs import read_lan_inputs
from netboot.doctor.repeated_findings import without_repeated
from netboot.errors import ConfigError
from netboot.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class LanOptions:
    """The options about the LAN. Without `interfaces` those of the settings are used."""

    interfaces: Sequence[str] = ()
    seconds: float = DEFAULT_SECONDS
    sends: bool = True


@dataclass(frozen=True, slots=True)
class DoctorInputs:
    """What every area can be examined with."""

    config: Path
    checked: CheckedConfiguration
    lan: LanOptions
    verifies: bool = False  # every byte of media and releases
    shows_progress: bool = True
    host: str = ""  # of the area `host`

    @property
    def settings(self) -> Settings:
        return self.checked.configuration.settings


async def _box(given: DoctorInputs) -> AreaReport:
    hosts = given.checked.configuration.hosts
    time_servers = tuple(dict.fromkeys(server for host in hosts for server in host.ntp_addresses))
    return await examine_box(given.settings, daemon_runs=given.checked.daemon.runs, time_servers=time_servers)


async def _configuration(given: DoctorInputs) -> AreaReport:
    return configuration_report(given.checked.findings)


async def _content(given: DoctorInputs) -> AreaReport:
    return await content_report(
        given.config, given.checked, verifies=given.verifies, shows_progress=given.shows_progress
    )


async def _lan(given: DoctorInputs) -> AreaReport:
    lan, daemon_runs = given.lan, given.checked.daemon.runs
    inputs = await read_lan_inputs(
        given.settings, lan.interfaces, seconds=lan.seconds, sends=lan.sends, daemon_runs=daemon_runs
    )
    if inputs.interfaces and given.shows_progress:
        click.echo(f"listening on {', '.join(inputs.interfaces)} for {lan.seconds:g} s …", err=True)
    return await examine_lan(inputs)


async def _host(given: DoctorInputs) -> AreaReport:
    return await host_report(given.config, given.checked, given.host)


Examine = Callable[[DoctorInputs], Coroutine[Any, Any, AreaReport]]
EXAMINERS: Final[Mapping[Area, Examine]] = {  # in the order of the output
    Area.BOX: _box,
    Area.CONFIGURATION: _configuration,
    Area.CONTENT: _content,
    Area.LAN: _lan,
    Area.HOST: _host,
}


@click.command(short_help="Check this appliance and the LAN: what would stop a boot, and the cure.")
@click.option(
    "--area",
    "areas",
    type=click.Choice([area.value for area in EXAMINERS if area is not Area.HOST]),
    multiple=True,
    help="Examine this area only; may be repeated.",
)
@click.option("--host", "host", metavar="NAME", help="Judge one host, from its entry to its Ignition.")
@click.option(
    "--verify", "verifies", is_flag=True, help="Read every byte of media, releases and images; takes minutes."
)
@click.option(
    "--interface",
    "interfaces",
    metavar="NAME",
    multiple=True,
    help="Examine the LAN on this interface instead of those of the settings (before there is a settings file, this "
    "computer too); may be repeated.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    help=f"How long to listen on the LAN [default: {DEFAULT_SECONDS:g}; --listen: until Ctrl-C].",
)
@click.option("--send/--no-send", "sends", default=True, help="Whether packets are sent on the LAN.", show_default=True)
@click.option(
    "--listen",
    "listens",
    is_flag=True,
    help="Send nothing, and print what this appliance would do for every machine that is heard.",
)
@config_and_json
def doctor(
    config: Path,
    as_json: bool,
    areas: Sequence[str],
    interfaces: Sequence[str],
    seconds: float | None,
    sends: bool,
    host: str | None,
    verifies: bool,
    listens: bool,
) -> None:
    """Check this appliance and what it serves: what would stop the boot of a machine, with the evidence and the cure.

    Nothing is changed; on the LAN of each boot interface a few packets are sent (--no-send: none). Run it as root, so
    that every check can be made; a check that cannot be made is listed with the reason. docs/doctor.md lists them.

    With --host, one host is judged instead: its entry, its loader, every file that its machine would request, its
    documents. Static files are requested as the machine does; nothing with a token is.

    Exit code 1 if something was found that would stop a boot; 2 if a file of the configuration has faults. Warnings
    and notes do not change the exit code.
    """
    if listens:
        if areas or host or verifies:
            raise click.UsageError("--listen examines nothing; leave out --area, --host and --verify")
        run_listening(config, interfaces, seconds, as_json=as_json)
        return
    chosen = _chosen(areas, host)
    lan = LanOptions(interfaces, seconds or DEFAULT_SECONDS, sends)
    try:
        checked = check_configuration(config)
    except ConfigError as error:
        reports = asyncio.run(_without_settings(config, chosen, lan, error=error, shows_progress=not as_json))
        has_faults = any(report.area is Area.CONFIGURATION for report in reports)
    else:
        given = DoctorInputs(config, checked, lan, verifies, not as_json, host or "")
        reports = asyncio.run(_examine(given, chosen))
        has_faults = bool(checked.findings.faults)
    print_found(report_view(reports), as_json, report_lines(reports))
    if has_faults:
        raise SystemExit(2)
    if any(finding.level is Level.PROBLEM for report in reports for finding in report.findings):
        raise SystemExit(1)


def _chosen(areas: Sequence[str], host: str | None) -> list[Area]:
    """Return the areas in the order of the output: of a named host, its own and those that were named too."""
    wanted = {*areas, *([Area.HOST] if host else [])}
    return [area for area in EXAMINERS if area in wanted or (not wanted and area is not Area.HOST)]


async def _examine(given: DoctorInputs, areas: Sequence[Area]) -> list[AreaReport]:
    return without_repeated([await EXAMINERS[area](given) for area in areas])


async def _without_settings(
    config: Path, areas: Sequence[Area], lan: LanOptions, *, error: ConfigError, shows_progress: bool
) -> list[AreaReport]:
    """Before there is a file, examine the areas with the default settings; report the faults where that is not done."""
    given = None
    if not await asyncio.to_thread(config.exists):
        unwritten = unwritten_configuration(lan.interfaces, error.problems)
        given = DoctorInputs(config, unwritten, lan, shows_progress=shows_progress)
    unread = areas if given is None else [area for area in areas if area in {Area.CONFIGURATION, Area.HOST}]
    reports = []
    for area in EXAMINERS:
        if area is Area.CONFIGURATION and unread:
            reports.append(faults_report(error.problems))
        elif area in areas:
            reports.append(_unread(area) if given is None or area in unread else await EXAMINERS[area](given))
    return reports


def _unread(area: Area) -> AreaReport:
    return AreaReport(area, not_checked={area.value: "the settings cannot be read: netboot check"})
