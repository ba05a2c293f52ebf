"""`netboot check`: checks the configuration and this appliance before a machine boots."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import click

from netboot.app import from_settings
from netboot.boot.documents import Documents
from netboot.cli.views.loader_view import LoaderLine, loader_lines, printed
from netboot.cli.views.output import json_option, print_json
from netboot.content.bootfiles.directories import BootFiles
from netboot.content.serving.index import ContentIndex
from netboot.control_socket import is_answered
from netboot.doctor.box import BoxReport, Links, check_box, links_here
from netboot.doctor.box_access import check_access
from netboot.doctor.host_findings import check_hosts
from netboot.errors import NO_RIGHT, ConfigError, NetbootError, Problem, RenderError, StoreError
from netboot.model.host.host import Host, HostSet
from netboot.model.host.mac import Mac
from netboot.operate.readiness import NO_INTERFACE, missing_uefi_loader
from netboot.registry.load import Configuration, read
from netboot.settings.settings import Settings
from netboot.store.read_only_check import verify_store

_ANY_MAC: Final = Mac.parse("00:00:5e:00:53:01")  # RFC 7042 §2.1.2: reserved for documentation


@dataclass(slots=True)
class Findings:
    """The findings, in the order in which they are printed."""

    faults: tuple[Problem, ...] = ()
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, report: BoxReport) -> None:
        """Add the findings of a part of the check."""
        self.problems += [each for each in report.problems if each not in self.problems]
        self.warnings += [each for each in report.warnings if each not in self.warnings]
        self.notes += report.notes


@click.command(short_help="Check everything before a machine boots.")
@json_option
@click.pass_obj
def check(config: Path, as_json: bool) -> None:
    """Check settings, hosts, loaders, content, every host's rendered documents, and this appliance.

    This appliance: interfaces, addresses, ports that other programs hold, and the files that the daemon's user and the
    unit's sandbox permit the daemon to read and write; run it as root to check all of that.

    Exit code 2 if a file of the configuration has faults, each named with line and column (hosts without a fault are
    checked nevertheless); 1 if only problems are found. Warnings do not change the exit code.
    """
    try:
        configuration = read(config)
    except ConfigError as error:
        if not as_json:
            raise
        _print_as_json(Findings(faults=error.problems), [])
        raise SystemExit(2) from None
    findings = Findings(faults=configuration.faults, warnings=list(map(str, configuration.warnings)))
    findings.add(check_access(configuration))  # it forks, so it comes before the threads
    asyncio.run(_check(configuration, findings))
    lines = _loader_lines(configuration)
    if as_json:
        _print_as_json(findings, lines)
    else:
        _print(findings, lines, hosts=len(configuration.hosts))
    if findings.faults or findings.problems:
        raise SystemExit(2 if findings.faults else 1)


def _print_as_json(findings: Findings, lines: Sequence[LoaderLine]) -> None:
    is_sound = not findings.faults and not findings.problems
    print_json({"ok": is_sound, **asdict(findings), "loaders": [asdict(each) for each in lines]})


def _print(findings: Findings, lines: Sequence[LoaderLine], *, hosts: int) -> None:
    """Print faults first and the verdict last, after a blank line."""
    for problem in (*findings.faults, *findings.problems):
        click.echo(problem, err=True)
    for warning in findings.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo("\n".join(["boot loaders:", *printed(lines), *(f"note: {note}" for note in findings.notes), ""]))
    problems = _counted(len(findings.faults) + len(findings.problems), "problem")
    warnings = f", {_counted(len(findings.warnings), 'warning')}" if findings.warnings else ""
    click.echo(f"{hosts} host{'s' if hosts != 1 else ''} checked, {problems}{warnings}")


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' if number != 1 else ''}"


async def _check(configuration: Configuration, findings: Findings) -> None:
    settings = configuration.settings
    bootfiles = BootFiles(settings.bootfiles.directories)
    findings.problems += _loader_problems(configuration, bootfiles)
    if not settings.network.interfaces:
        findings.problems.append(NO_INTERFACE)
    content = ContentIndex(settings.content.directory)
    content.refresh()
    findings.problems += content.problems
    links = await links_here()
    findings.add(check_hosts(configuration, links))
    findings.add(await _check_box(settings, links, known=set(map(str, findings.faults))))
    documents = from_settings.documents_for(settings)
    readiness = from_settings.readiness_for(settings, documents, bootfiles=bootfiles, hosts=configuration.hosts)
    reasons: dict[str, list[Host]] = {}
    for host in configuration.hosts:
        for reason in await readiness.reasons(host):
            reasons.setdefault(reason, []).append(host)
    findings.problems += [_placed(why, hosts) for why, hosts in reasons.items() if why not in findings.problems]
    findings.problems += _script_problems(documents, configuration.hosts)


def _placed(reason: str, hosts: Sequence[Host]) -> str:
    """Print a reason once, at the first host that it affects."""
    first, others = hosts[0], ", ".join(host.name for host in hosts[1:6])
    also = f" (also {others}{', …' if len(hosts) > 6 else ''})" if others else ""
    placed = reason if reason.startswith(first.declared_at) else f"{first.declared_at}: hosts.{first.name}: {reason}"
    return f"{placed}{also}"


async def _check_box(settings: Settings, links: Links, *, known: Collection[str]) -> BoxReport:
    """Check this appliance; if a daemon runs, it holds the ports, and its own problems are reported."""
    path, problems = settings.admin.socket, []
    try:
        runs = path.exists()
        if runs:
            from netboot.client import ControlClient  # slow to load

            runs = is_answered(path)
            if runs:
                config = click.get_current_context().find_object(Path)
                async with ControlClient(path, configuration=config) as client:
                    problems = list((await client.status()).get("problems", ()))
    except (NetbootError, OSError) as error:
        report = check_box(settings, links, daemon_runs=True)
        report.notes.append(f"not checked: what the daemon lacks, and the ports: {error}")
        return report
    report = check_box(settings, links, daemon_runs=runs)
    await _check_store(settings, report, daemon_runs=runs)
    said = {*known, *report.problems}
    for index, interface in enumerate(settings.network.interfaces):
        if any(each.startswith(f"network.interfaces[{index}]: ") for each in report.problems):
            said |= {each for each in problems if each.startswith(f"interface {interface.name} is not served: ")}
    report.problems += [f"the running daemon: {problem}" for problem in problems if problem not in said]
    return report


async def _check_store(settings: Settings, report: BoxReport, *, daemon_runs: bool) -> None:
    """Read the store of the settings; a daemon that runs may use the one of earlier settings until its restart."""
    try:
        if warning := await verify_store(settings.store.url):
            report.warnings.append(warning)
    except StoreError as error:
        if NO_RIGHT in str(error):
            if daemon_runs:
                return  # the daemon reads it
            report.notes.append(f"not checked: the store: {error}")
        else:
            report.problems.append(f"store.url: the daemon cannot start: {error}")


def _script_problems(documents: Documents, hosts: HostSet) -> list[str]:
    """Render the scripts of machines that are not armed; report a template's fault for one machine, not for all."""
    shared = [
        *_renamed(documents.autoexec_problems(_ANY_MAC), "any machine"),
        *_renamed(documents.script_problems(_ANY_MAC, None), "an unregistered machine"),
    ]
    for host in hosts:
        found = [str(problem) for mac in host.macs for problem in documents.script_problems(mac, host)]
        if found:
            return list(dict.fromkeys((*shared, *found)))
    return list(dict.fromkeys(shared))


def _renamed(problems: Iterable[RenderError], subject: str) -> list[str]:
    """Replace the MAC that only this check uses with `subject`."""
    return [str(problem).replace(str(_ANY_MAC), subject) for problem in problems]


def _loader_problems(configuration: Configuration, bootfiles: BootFiles) -> Iterator[str]:
    """Check the loaders that the files name, and that of UEFI x86-64, which most OCK machines need."""
    settings = configuration.settings
    policy, problems = from_settings.policy_for(settings, bootfiles, configuration.hosts)
    yield from map(str, problems)
    yield from missing_uefi_loader(policy, bootfiles)


def _loader_lines(configuration: Configuration) -> list[LoaderLine]:
    settings = configuration.settings
    bootfiles = BootFiles(settings.bootfiles.directories)
    policy, _ = from_settings.policy_for(settings, bootfiles, configuration.hosts)
    return loader_lines(policy, bootfiles)
