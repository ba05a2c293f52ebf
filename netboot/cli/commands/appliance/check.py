"""`netboot check`: checks the configuration and this appliance before a machine boots."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from netboot.cli.commands.appliance.configuration_checks import check_configuration
from netboot.cli.commands.appliance.loader_lines import LoaderLine, printed
from netboot.cli.views.output import config_and_json, counted, print_json
from netboot.doctor.configuration.configuration_findings import ConfigurationFindings
from netboot.errors import ConfigError


@click.command(short_help="Check everything before a machine boots.")
@config_and_json
def check(config: Path, as_json: bool) -> None:
    """Check settings, hosts, loaders, content, every host's rendered documents, and this appliance.

    This appliance: interfaces, addresses, ports that other programs hold, and the files that the daemon's user and the
    unit's sandbox permit the daemon to read and write; run it as root to check all of that. netboot doctor checks more.

    Exit code 2 if a file of the configuration has faults, each named with line and column (hosts without a fault are
    checked nevertheless); 1 if only problems are found. Warnings do not change the exit code.
    """
    try:
        checked = check_configuration(config)
    except ConfigError as error:
        if not as_json:
            raise
        _print_as_json(ConfigurationFindings(faults=error.problems), [])
        raise SystemExit(2) from None
    findings = checked.findings
    if as_json:
        _print_as_json(findings, checked.loaders)
    else:
        _print(findings, checked.loaders, hosts=len(checked.configuration.hosts))
    if findings.faults or findings.problems:
        raise SystemExit(2 if findings.faults else 1)


def _print_as_json(findings: ConfigurationFindings, lines: Sequence[LoaderLine]) -> None:
    is_sound = not findings.faults and not findings.problems
    found = {
        "problems": list(findings.problems),
        "warnings": list(findings.warnings),
        "notes": [note for note, _ in findings.notes],
        "faults": [asdict(fault) for fault in findings.faults],
    }
    print_json({"ok": is_sound, **found, "loaders": [asdict(each) for each in lines]})


def _print(findings: ConfigurationFindings, lines: Sequence[LoaderLine], *, hosts: int) -> None:
    """Print faults first and the verdict last, after a blank line."""
    for problem in (*findings.faults, *findings.problems):
        click.echo(problem, err=True)
    for warning in findings.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo("\n".join(["boot loaders:", *printed(lines), *(f"note: {note}" for note, _ in findings.notes), ""]))
    problems = counted(len(findings.faults) + len(findings.problems), "problem")
    warnings = f", {counted(len(findings.warnings), 'warning')}" if findings.warnings else ""
    click.echo(f"{hosts} host{'s' if hosts != 1 else ''} checked, {problems}{warnings}")
