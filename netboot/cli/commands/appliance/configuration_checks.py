"""Runs every check of the configuration: what `netboot check` prints, and the area `configuration` of the doctor."""

import asyncio
import errno
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netboot.admin.json_views import View, json_view
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.app import from_settings
from netboot.app.recorded_addresses import read_files
from netboot.boot.documents.documents import Documents
from netboot.boot.live_registry import Registry
from netboot.cli.commands.appliance.loader_lines import LoaderLine, loader_lines
from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.content.serving.index import ContentIndex
from netboot.doctor.configuration.access_checks import check_access
from netboot.doctor.configuration.admin_checks import check_admin
from netboot.doctor.configuration.bmc_checks import check_bmcs
from netboot.doctor.configuration.certificate_checks import check_registry
from netboot.doctor.configuration.check_report import CheckReport
from netboot.doctor.configuration.configuration_findings import ConfigurationFindings
from netboot.doctor.configuration.hook_checks import check_hooks
from netboot.doctor.configuration.host_findings import and_others, check_hosts
from netboot.doctor.configuration.host_warnings import (
    anchor_warnings,
    embedded_warnings,
    host_warnings,
    update_warnings,
)
from netboot.doctor.configuration.listening_checks import Links, check_box, links_here
from netboot.doctor.configuration.remote_releases import unreachable_releases
from netboot.errors import NO_RIGHT, NetbootError, Problem, RenderError, StoreError
from netboot.model.access.secret_file import cure_of, is_elsewhere
from netboot.model.clock import utc_now
from netboot.model.host.host import Cluster, Host, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.ignition_way import IgnitionWay
from netboot.model.words import shown_size
from netboot.operate.cluster.role_deadlines import deadlines_of
from netboot.operate.readiness import NO_INTERFACE, missing_uefi_loader
from netboot.operate.rollout.ocne.command_programs import command_problems
from netboot.registry.load import Configuration
from netboot.serve.net.local_addresses import read_local_addresses
from netboot.settings.settings import BootInterface, Network, Settings
from netboot.store.read_only_check import key_fault, verify_store

LISTENING: Final = "box.listening"  # of the area `box`
DAEMON: Final = "configuration.daemon"
_STORE: Final = "configuration.store"
_OTHER_SERVERS: Final = "configuration.other_servers"
_NO_DAEMON: Final = "no daemon runs; systemctl start netboot"
_ANY_MAC: Final = Mac.parse("00:00:5e:00:53:01")  # RFC 7042 §2.1.2: reserved for documentation, of no card


@dataclass(frozen=True, slots=True)
class DaemonHere:
    """The status of the daemon of this configuration; without one, `error` is why a daemon that runs gave none."""

    status: View | None = None
    error: str | None = None

    @property
    def runs(self) -> bool:
        return self.status is not None or self.error is not None


@dataclass(frozen=True, slots=True)
class CheckedConfiguration:
    """A configuration, what was found of it, the loader of each architecture, and the daemon of this computer."""

    configuration: Configuration
    registry: Registry
    findings: ConfigurationFindings
    loaders: Sequence[LoaderLine] = ()
    daemon: DaemonHere = DaemonHere()


def check_configuration(config: Path) -> CheckedConfiguration:
    """Read the files and run every check. Raises ConfigError if the settings cannot be read.

    It changes the user of the process for a moment, so no event loop or thread of the caller may run.
    """
    files = asyncio.run(read_files(config))
    configuration = files.configuration()
    findings = ConfigurationFindings(faults=configuration.faults)
    findings.add("configuration.files", CheckReport(warnings=list(map(str, configuration.warnings))))
    notes = files.notes(configuration.allocations, configuration.hosts.hosts)
    findings.add("configuration.addresses", CheckReport(notes=notes))
    findings.add("configuration.access", check_access(configuration))  # changes the user: before the threads
    registry, problems = from_settings.registry_for(configuration.settings, configuration)
    findings.add("configuration.documents", CheckReport([*map(str, problems)]))
    findings.add("configuration.loaders", CheckReport([*missing_uefi_loader(registry.policy, registry.boot_files)]))
    daemon = asyncio.run(_check(config, configuration, registry, findings=findings))
    lines = loader_lines(registry.policy, registry.boot_files)
    return CheckedConfiguration(configuration, registry, findings, lines, daemon)


def default_configuration(interfaces: Sequence[str]) -> Configuration:
    """Return what is in force without any file, before the set-up: the default settings for named interfaces."""
    named = tuple(BootInterface.model_construct(name=name) for name in interfaces)
    settings = Settings.model_construct(network=Network.model_construct(interfaces=named))
    return Configuration(settings, HostSet(Cluster(name="")), ())


def unwritten_configuration(interfaces: Sequence[str], faults: tuple[Problem, ...]) -> CheckedConfiguration:
    """Return the default configuration with the fault that there is no file; no check of it was run."""
    configuration = default_configuration(interfaces)
    registry, _ = from_settings.registry_for(configuration.settings, configuration)
    return CheckedConfiguration(configuration, registry, ConfigurationFindings(faults=faults))


def _check_bmcs(config: Path, configuration: Configuration) -> CheckReport:
    settings = configuration.settings.bmc
    return check_bmcs(configuration.hosts, config.absolute().parent / settings.credentials, quirks=settings.quirks)


async def _check(
    config: Path, configuration: Configuration, registry: Registry, *, findings: ConfigurationFindings
) -> DaemonHere:
    settings = configuration.settings
    if not settings.network.interfaces:
        findings.add("configuration.interfaces", CheckReport([NO_INTERFACE]))
    content = ContentIndex(settings.content.directory)
    content.refresh()
    findings.add("configuration.content", CheckReport([*content.problems]))
    links = await links_here()
    findings.add("configuration.administration", check_admin(settings, await read_local_addresses(), now=utc_now()))
    machine_addresses = from_settings.machine_addresses_of(settings, links)
    findings.add("configuration.registry", check_registry(settings, machine_addresses, now=utc_now()))
    findings.add("configuration.hosts", check_hosts(configuration, links))
    findings.add("configuration.hooks", check_hooks([each.hook() for each in settings.hooks], configuration.hosts))
    commands = settings.cluster.commands
    if commands is not None:
        unusable = command_problems(dict(commands), is_run_here=False)
        findings.add("configuration.cluster", CheckReport([*map(str, unusable)]))
    findings.add("configuration.bmcs", await asyncio.to_thread(_check_bmcs, config, configuration))
    warnings = [*host_warnings(configuration.hosts, settings)]
    if settings.install.ignition is IgnitionWay.EMBED:
        warnings += await asyncio.to_thread(embedded_warnings, configuration.hosts)
    warnings += anchor_warnings(configuration.hosts, utc_now())
    warnings += await asyncio.to_thread(update_warnings, configuration.hosts, registry.documents.updates)
    findings.add("configuration.hosts", CheckReport(warnings=warnings))
    findings.add("configuration.content", CheckReport(warnings=[*await unreachable_releases(configuration.hosts)]))
    daemon = await ask_for_status(config, settings)
    await _check_appliance(settings, links, daemon, findings=findings)
    findings.add("configuration.hosts", await _readiness(configuration, registry, known=findings.problems))
    findings.add("configuration.documents", CheckReport(_script_problems(registry.documents, configuration.hosts)))
    if (medium := settings.hosts.inspect_media) and (
        problem := await registry.documents.content.medium_problem(medium)
    ):
        findings.add("configuration.content", CheckReport([f"hosts.inspect_media: {problem}"]))
    notes = await asyncio.to_thread(_deadline_notes, configuration.hosts)
    findings.add("configuration.deadlines", CheckReport(notes=notes))
    return daemon


async def _readiness(configuration: Configuration, registry: Registry, *, known: Collection[str]) -> CheckReport:
    """Report why hosts could not be installed, each reason once; `known` are reported already."""
    readiness = from_settings.readiness_for(configuration.settings, registry)
    reasons: dict[str, list[Host]] = {}
    for host in configuration.hosts:
        for reason in await readiness.reasons(host):
            reasons.setdefault(reason, []).append(host)
    return CheckReport([_placed(reason, hosts) for reason, hosts in reasons.items() if reason not in known])


def _deadline_notes(hosts: HostSet) -> list[str]:
    """Name each secret that is going to end, once for each file; what has ended is a problem of its hosts."""
    deadlines, now = deadlines_of(hosts), utc_now()
    files = {host.ignition: [each for each in deadlines[host.name] if each.at > now] for host in hosts}
    return [f"{path}: {text}" for path, found in files.items() for text in deadline_texts(json_view(found))]


def _placed(reason: str, hosts: Sequence[Host]) -> str:
    """Print a reason once, at the first host that it affects."""
    first, *others = hosts
    placed = reason if reason.startswith(first.declared_at) else f"{first.declared_at}: hosts.{first.name}: {reason}"
    return placed + and_others(others)


async def ask_for_status(config: Path, settings: Settings) -> DaemonHere:
    """Request the status of the daemon of this configuration."""
    try:
        return DaemonHere(await ask_daemon(settings.admin.socket, config, lambda daemon: daemon.status()))
    except NetbootError as error:
        return DaemonHere(error=str(error))


async def _check_appliance(
    settings: Settings, links: Links, daemon: DaemonHere, *, findings: ConfigurationFindings
) -> None:
    """Check this appliance; if a daemon runs, it holds the ports, and its own problems are reported."""
    known = {*map(str, findings.faults), *findings.problems_of("configuration.administration")}
    known |= {*findings.problems_of("configuration.registry")}
    report = check_box(settings, links, daemon_runs=daemon.runs)
    findings.add(LISTENING, report)
    if daemon.error is not None:
        note = f"not checked: what the daemon lacks, and the ports: {daemon.error}"
        findings.add(DAEMON, CheckReport(notes=[note]))
        findings.not_checked |= dict.fromkeys((DAEMON, _STORE, _OTHER_SERVERS), daemon.error)
        return
    findings.add(_STORE, await _check_store(settings, daemon_runs=daemon.runs))
    known |= {*report.problems, *findings.problems_of(_STORE)}
    if daemon.status is None:
        findings.not_checked |= dict.fromkeys((DAEMON, _OTHER_SERVERS), _NO_DAEMON)
        return
    problems = daemon.status["problems"]
    for index, interface in enumerate(settings.network.interfaces):
        if any(each.startswith(f"network.interfaces[{index}]: ") for each in report.problems):
            known |= {each for each in problems if each.startswith(f"interface {interface.name} is not served: ")}
    lacking = [f"the running daemon: {problem}" for problem in problems if problem not in known]
    findings.add(DAEMON, CheckReport(lacking, [*daemon.status["warnings"]], _disk_use(daemon.status)))
    findings.add(_OTHER_SERVERS, _other_servers(daemon.status))


def _other_servers(status: View) -> CheckReport:
    """Report the other servers that the daemon saw; those that take boots are warnings."""
    report = CheckReport()
    for server in status["other_servers"]:
        to = f", boot data to {server['boot_client']}" if server["boot_client"] else ""
        cure = f"; {server['cure']}" if server["cure"] else ""
        text = f"{server['sentence']} (last seen {server['last_seen']}{to}){cure}"
        (report.warnings if server["takes_boots"] else report.notes).append(text)
    report.notes += [f"not observed: {reason}" for reason in status["unobserved"]]
    return report


def _disk_use(status: View) -> list[str]:
    """Return what the records of boots and the store take of their budget."""
    use = status.get("records")
    if use is None:
        return []
    of_kinds = ", ".join(f"{kind} {shown_size(use[kind])}" for kind in ("logs", "captures", "store"))
    return [f"records.budget: {shown_size(use['used'])} of {shown_size(use['budget'])} are used: {of_kinds}"]


async def _check_store(settings: Settings, *, daemon_runs: bool) -> CheckReport:
    """Read the store of the settings; a daemon that runs may use the one of earlier settings until its restart."""
    report, password = CheckReport(), settings.store.password_file
    if password is not None and is_elsewhere(password):
        report.notes.append(f"not checked: the store: no password, {password}; {cure_of(password)}")
        return report
    try:
        if warning := await verify_store(settings.store.url):
            report.warnings.append(warning)
    except StoreError as error:
        if NO_RIGHT not in str(error):
            report.problems.append(f"store.url: the daemon cannot start: {error}")
        elif not daemon_runs:  # which reads it
            report.notes.append(f"not checked: the store: {error}")
        return report
    if not daemon_runs and (fault := await _key_fault(settings)):
        (report.notes if fault.startswith("not checked") else report.problems).append(fault)
    return report


async def _key_fault(settings: Settings) -> str | None:
    """Return why the daemon would not open what is sealed in the store; a daemon that runs reports it itself."""
    try:
        fault = await key_fault(settings.store.url, settings.store.key_file)
    except StoreError as error:
        return f"not checked: the key of the store: {error}"
    is_unreadable = fault is not None and os.geteuid() != 0 and os.strerror(errno.EACCES) in fault
    return f"not checked: {fault}" if is_unreadable else fault


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
