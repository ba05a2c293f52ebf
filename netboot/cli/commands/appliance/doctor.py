"""`netboot doctor`: checks this appliance, its configuration, its content and the LAN before a machine boots."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from netboot.cli.commands.appliance.configuration_checks import CheckedConfiguration, check_configuration
from netboot.cli.commands.appliance.examined_content import content_report
from netboot.cli.views.doctor_view import report_lines, report_view
from netboot.cli.views.output import config_and_json, print_found
from netboot.doctor.box.examine_box import examine_box
from netboot.doctor.configuration.configuration_findings import configuration_report, faults_report
from netboot.doctor.doctor_finding import Area, AreaReport, Level
from netboot.doctor.repeated_findings import without_repeated
from netboot.errors import ConfigError
from netboot.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class DoctorInputs:
    """What every area can be examined with."""

    config: Path
    checked: CheckedConfiguration
    verifies: bool = False  # every byte of media and releases
    shows_progress: bool = True

    @property
    def settings(self) -> Settings:
        return self.checked.configuration.settings


async def _box(given: DoctorInputs) -> AreaReport:
    daemon = given.checked.daemon
    return await examine_box(given.settings, daemon_runs=daemon.runs)


async def _configuration(given: DoctorInputs) -> AreaReport:
    return configuration_report(given.checked.findings)


async def _content(given: DoctorInputs) -> AreaReport:
    return await content_report(
        given.config, given.checked, verifies=given.verifies, shows_progress=given.shows_progress
    )


Examine = Callable[[DoctorInputs], Coroutine[Any, Any, AreaReport]]
EXAMINERS: Final[Mapping[Area, Examine]] = {  # in the order of the output
    Area.BOX: _box,
    Area.CONFIGURATION: _configuration,
    Area.CONTENT: _content,
}


@click.command(short_help="Check this appliance and the LAN: what would stop a boot, and the cure.")
@click.option(
    "--area",
    "areas",
    type=click.Choice([area.value for area in EXAMINERS]),
    multiple=True,
    help="Examine this area only; may be repeated.",
)
@click.option("--verify", "verifies", is_flag=True, help="Read every byte of media and releases; takes minutes.")
@config_and_json
def doctor(config: Path, as_json: bool, areas: Sequence[str], verifies: bool) -> None:
    """Check this appliance and what it serves: what would stop the boot of a machine, with the evidence and the cure.

    Nothing is changed. Run it as root, so that every check can be made; a check that cannot be made is listed with the
    reason. docs/doctor.md lists the checks.

    Exit code 1 if something was found that would stop a boot; 2 if a file of the configuration has faults. Warnings
    and notes do not change the exit code.
    """
    chosen = [area for area in EXAMINERS if not areas or area in areas]
    try:
        checked = check_configuration(config)
    except ConfigError as error:
        reports = [_without_settings(area, error) for area in chosen]
        has_faults = True
    else:
        reports = asyncio.run(_examine(DoctorInputs(config, checked, verifies, not as_json), chosen))
        has_faults = bool(checked.findings.faults)
    print_found(report_view(reports), as_json, report_lines(reports))
    if has_faults:
        raise SystemExit(2)
    if any(finding.level is Level.PROBLEM for report in reports for finding in report.findings):
        raise SystemExit(1)


async def _examine(given: DoctorInputs, areas: Sequence[Area]) -> list[AreaReport]:
    return without_repeated([await EXAMINERS[area](given) for area in areas])


def _without_settings(area: Area, error: ConfigError) -> AreaReport:
    if area is Area.CONFIGURATION:
        return faults_report(error.problems)
    return AreaReport(area, not_checked={area.value: "the settings cannot be read: netboot check"})
