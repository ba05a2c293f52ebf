"""`netboot check`: checks the configuration and this appliance before a machine boots."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

import click

from netboot.admin.json_views import View, json_view
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.app import from_settings
from netboot.app.recorded_addresses import read_files
from netboot.boot.documents.documents import Documents
from netboot.boot.firmware.requested_names import find_loader
from netboot.boot.live_registry import Registry
from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.cli.views.output import config_and_json, counted, print_json
from netboot.content.bootfiles.directories import BootFiles
from netboot.content.serving.index import ContentIndex
from netboot.doctor.configuration.access_checks import check_access
from netboot.doctor.configuration.admin_checks import check_admin
from netboot.doctor.configuration.check_report import CheckReport
from netboot.doctor.configuration.hook_checks import check_hooks
from netboot.doctor.configuration.host_findings import and_others, check_hosts
from netboot.doctor.configuration.host_warnings import anchor_warnings, embedded_warnings, host_warnings
from netboot.doctor.configuration.listening_checks import Links, check_box, links_here
from netboot.doctor.configuration.remote_releases import unreachable_releases
from netboot.errors import NO_RIGHT, ConfigError, NetbootError, Problem, RenderError, StoreError
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage, arch_name
from netboot.model.boot.offer import Policy
from netboot.model.clock import utc_now
from netboot.model.host.host import Host, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.ignition_way import IgnitionWay
from netboot.model.words import shown_size
from netboot.operate.cluster.role_deadlines import deadlines_of
from netboot.operate.readiness import NO_INTERFACE, missing_uefi_loader
from netboot.registry.load import Configuration
from netboot.serve.net.local_addresses import read_local_addresses
from netboot.settings.settings import Settings
from netboot.store.read_only_check import verify_store

_ANY_MAC: Final = Mac.parse("00:00:5e:00:53:01")  # RFC 7042 §2.1.2: reserved for documentation, of no card
_ARCHITECTURES: Final = (
    ("BIOS, PXE", BootProtocol.PXE, Arch.X86_BIOS),
    ("x64 UEFI, PXE", BootProtocol.PXE, Arch.X64_UEFI),
    ("x64 UEFI, HTTP", BootProtocol.HTTP, Arch.X64_UEFI_HTTP),
    ("ia32 UEFI, PXE", BootProtocol.PXE, Arch.IA32_UEFI),
    ("ia32 UEFI, HTTP", BootProtocol.HTTP, Arch.IA32_UEFI_HTTP),
    ("arm64 UEFI, PXE", BootProtocol.PXE, Arch.ARM64_UEFI),
    ("arm64 UEFI, HTTP", BootProtocol.HTTP, Arch.ARM64_UEFI_HTTP),
)


@dataclass(slots=True)
class Findings(CheckReport):
    """Everything that was found. `faults` are those of the files."""

    faults: tuple[Problem, ...] = ()

    def add(self, report: CheckReport) -> None:
        self.problems += [each for each in report.problems if each not in self.problems]
        self.warnings += [each for each in report.warnings if each not in self.warnings]
        self.notes += report.notes


@dataclass(frozen=True, slots=True)
class LoaderLine:
    """The loader of one architecture: `path` is its file, `then` are the names to try if it fails."""

    architecture: str
    loader: str | None = None
    path: str | None = None
    then: tuple[str, ...] = ()
    missing: str | None = None  # why there is none, and the package that has one

    def __str__(self) -> str:
        if self.loader is None:
            return f"  {self.architecture:<17} none: {self.missing}"
        then = f", then {', '.join(self.then)}" if self.then else ""
        return f"  {self.architecture:<17} {self.loader} ({self.path}){then}"


@click.command(short_help="Check everything before a machine boots.")
@config_and_json
def check(config: Path, as_json: bool) -> None:
    """Check settings, hosts, loaders, content, every host's rendered documents, and this appliance.

    This appliance: interfaces, addresses, ports that other programs hold, and the files that the daemon's user and the
    unit's sandbox permit the daemon to read and write; run it as root to check all of that.

    Exit code 2 if a file of the configuration has faults, each named with line and column (hosts without a fault are
    checked nevertheless); 1 if only problems are found. Warnings do not change the exit code.
    """
    try:
        files = asyncio.run(read_files(config))
    except ConfigError as error:
        if not as_json:
            raise
        _print_as_json(Findings(faults=error.problems), [])
        raise SystemExit(2) from None
    configuration = files.configuration()
    findings = Findings(warnings=list(map(str, configuration.warnings)), faults=configuration.faults)
    findings.notes += files.notes(configuration.allocations, configuration.hosts.hosts)
    findings.add(check_access(configuration))  # it changes the user for a moment, so it comes before the threads
    registry, problems = from_settings.registry_for(configuration.settings, configuration)
    findings.problems += [*map(str, problems), *missing_uefi_loader(registry.policy, registry.boot_files)]
    asyncio.run(_check(config, configuration, registry, findings=findings))
    lines = loader_lines(registry.policy, registry.boot_files)
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
    problems = counted(len(findings.faults) + len(findings.problems), "problem")
    warnings = f", {counted(len(findings.warnings), 'warning')}" if findings.warnings else ""
    click.echo(f"{hosts} host{'s' if hosts != 1 else ''} checked, {problems}{warnings}")


async def _check(config: Path, configuration: Configuration, registry: Registry, *, findings: Findings) -> None:
    settings = configuration.settings
    if not settings.network.interfaces:
        findings.problems.append(NO_INTERFACE)
    content = ContentIndex(settings.content.directory)
    content.refresh()
    findings.problems += content.problems
    links = await links_here()
    admin = check_admin(settings, await read_local_addresses(), now=utc_now())
    findings.add(admin)
    findings.add(check_hosts(configuration, links))
    findings.add(check_hooks([each.hook() for each in settings.hooks], configuration.hosts))
    findings.warnings += host_warnings(configuration.hosts, settings)
    if settings.install.ignition is IgnitionWay.EMBED:
        findings.warnings += await asyncio.to_thread(embedded_warnings, configuration.hosts)
    findings.warnings += anchor_warnings(configuration.hosts, utc_now())
    findings.warnings += await unreachable_releases(configuration.hosts)
    findings.add(await _check_box(config, settings, links, known={*map(str, findings.faults), *admin.problems}))
    readiness = from_settings.readiness_for(settings, registry)
    reasons: dict[str, list[Host]] = {}
    for host in configuration.hosts:
        for reason in await readiness.reasons(host):
            reasons.setdefault(reason, []).append(host)
    findings.problems += [_placed(why, hosts) for why, hosts in reasons.items() if why not in findings.problems]
    findings.problems += _script_problems(registry.documents, configuration.hosts)
    if (medium := settings.hosts.inspect_media) and (
        problem := await registry.documents.content.medium_problem(medium)
    ):
        findings.problems.append(f"hosts.inspect_media: {problem}")
    findings.notes += await asyncio.to_thread(_deadline_notes, configuration.hosts)


def _deadline_notes(hosts: HostSet) -> list[str]:
    """Name each secret that ends, once for each file; what has ended is a problem of its hosts."""
    deadlines = deadlines_of(hosts)
    files = {host.ignition: deadlines[host.name] for host in hosts}
    return [f"{path}: {text}" for path, found in files.items() for text in deadline_texts(json_view(found))]


def _placed(reason: str, hosts: Sequence[Host]) -> str:
    """Print a reason once, at the first host that it affects."""
    first, *others = hosts
    placed = reason if reason.startswith(first.declared_at) else f"{first.declared_at}: hosts.{first.name}: {reason}"
    return placed + and_others(others)


async def _check_box(config: Path, settings: Settings, links: Links, *, known: Collection[str]) -> CheckReport:
    """Check this appliance; if a daemon runs, it holds the ports, and its own problems are reported."""
    try:
        status = await ask_daemon(settings.admin.socket, config, lambda daemon: daemon.status())
    except NetbootError as error:
        report = check_box(settings, links, daemon_runs=True)
        report.notes.append(f"not checked: what the daemon lacks, and the ports: {error}")
        return report
    problems = status["problems"] if status is not None else ()
    report = check_box(settings, links, daemon_runs=status is not None)
    await _check_store(settings, report, daemon_runs=status is not None)
    said = {*known, *report.problems}
    for index, interface in enumerate(settings.network.interfaces):
        if any(each.startswith(f"network.interfaces[{index}]: ") for each in report.problems):
            said |= {each for each in problems if each.startswith(f"interface {interface.name} is not served: ")}
    report.problems += [f"the running daemon: {problem}" for problem in problems if problem not in said]
    if status is not None:
        report.warnings += status["warnings"]
        report.notes += _disk_use(status)
        _add_other_servers(report, status)
    return report


def _add_other_servers(report: CheckReport, status: View) -> None:
    """Report the other servers that the daemon saw; those that take boots are warnings."""
    for server in status["other_servers"]:
        to = f", boot data to {server['boot_client']}" if server["boot_client"] else ""
        cure = f"; {server['cure']}" if server["cure"] else ""
        text = f"{server['sentence']} (last seen {server['last_seen']}{to}){cure}"
        (report.warnings if server["takes_boots"] else report.notes).append(text)
    report.notes += [f"not observed: {reason}" for reason in status["unobserved"]]


def _disk_use(status: View) -> list[str]:
    """Return what the records of boots and the store take of their budget."""
    use = status.get("records")
    if use is None:
        return []
    of_kinds = ", ".join(f"{kind} {shown_size(use[kind])}" for kind in ("logs", "captures", "store"))
    return [f"records.budget: {shown_size(use['used'])} of {shown_size(use['budget'])} are used: {of_kinds}"]


async def _check_store(settings: Settings, report: CheckReport, *, daemon_runs: bool) -> None:
    """Read the store of the settings; a daemon that runs may use the one of earlier settings until its restart."""
    try:
        if warning := await verify_store(settings.store.url):
            report.warnings.append(warning)
    except StoreError as error:
        if NO_RIGHT not in str(error):
            report.problems.append(f"store.url: the daemon cannot start: {error}")
        elif not daemon_runs:  # which reads it
            report.notes.append(f"not checked: the store: {error}")


def _script_problems(documents: Documents, hosts: HostSet) -> list[str]:
    """Render the scripts of machines that are not armed; report a template's fault for one machine, not for all."""
    shared = [
        *_renamed(documents.autoexec_problems(_ANY_MAC), "any machine"),
        *_renamed(documents.script_problems(_ANY_MAC, None), "an unregistered machine"),
    ]
    each_host = ([problem for mac in host.macs for problem in documents.script_problems(mac, host)] for host in hosts)
    first_faulty = next(filter(None, each_host), [])
    return list(dict.fromkeys((*shared, *map(str, first_faulty))))


def _renamed(problems: Iterable[RenderError], subject: str) -> list[str]:
    """Replace the MAC that only this check uses with `subject`."""
    return [str(problem).replace(str(_ANY_MAC), subject) for problem in problems]


def loader_lines(policy: Policy, bootfiles: BootFiles) -> list[LoaderLine]:
    """List what each usual architecture gets, then each number that `bootfiles.loaders` names."""
    return [*(_line(policy, bootfiles, *each) for each in _ARCHITECTURES), *_by_number(policy, bootfiles)]


def printed(lines: Iterable[LoaderLine]) -> Iterator[str]:
    """Return one line for each architecture, but only one for a CPU whose loaders are missing for one reason."""
    for missing, same in groupby(lines, key=lambda line: line.missing):
        first, *others = same
        if missing is None:
            yield from map(str, (first, *others))
        else:
            yield str(replace(first, architecture=first.architecture.partition(",")[0]) if others else first)


def _line(policy: Policy, bootfiles: BootFiles, title: str, protocol: BootProtocol, arch: int) -> LoaderLine:
    loaders = policy.loaders_for(BootClient(_ANY_MAC, arch, protocol, Stage.FIRMWARE))
    if not loaders:
        what, cure = bootfiles.missing_loader(protocol, arch) or ("", "")
        return LoaderLine(title, missing=f"{what.partition(': ')[2] or what}; {cure}")
    file = find_loader(bootfiles, loaders[0])
    return LoaderLine(title, loaders[0], str(file.path) if file else None, loaders[1:])


def _by_number(policy: Policy, bootfiles: BootFiles) -> Iterator[LoaderLine]:
    for rule in policy.rules:
        if rule.arch is not None:
            file = find_loader(bootfiles, rule.loader)
            only = f" of {rule.oui or rule.vendor_class}" if rule.oui or rule.vendor_class else ""
            title = f"{arch_name(rule.arch)} ({rule.arch:d}){only}"
            yield LoaderLine(title, rule.loader, str(file.path) if file else None)
