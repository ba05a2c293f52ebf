"""Checks of a host's entry, its readiness, its state, and the loader that its machine is offered."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from netboot.admin.texts.install_text import armed_text
from netboot.admin.texts.machine_text import next_boot_texts
from netboot.boot.firmware.requested_names import find_loader, second_stage
from netboot.content.bootfiles.loader_packages import packages_of
from netboot.doctor.content import loader_checks, signature_checks
from netboot.doctor.content.role_file_checks import check_role_files
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.doctor.host.host_facts import HostFacts, OfferedLoader, content_of
from netboot.model.host.host import Host

REGISTERED: Final = "host.registered"
FILES: Final = "host.files"
READY: Final = "host.ready"
STATE: Final = "host.state"
LOADER: Final = "host.loader"
DEADLINES: Final = "host.deadlines"


def check_registered(facts: HostFacts) -> Iterator[DoctorFinding]:
    """Find a host that no file declares, or that the daemon has not read yet."""
    if facts.host is None and not facts.faults:
        evidence = (f"hosts: {', '.join(sorted(facts.known_hosts)[:20]) or 'none'}",)
        cure = f"netboot host add {facts.name}, or netboot host approve for a machine that waits"
        yield DoctorFinding(REGISTERED, Level.PROBLEM, f"no host is called {facts.name}", evidence, cure)
    elif facts.host is not None and facts.daemon_runs and facts.view is None:
        sentence = f"the running daemon does not have {facts.name} yet"
        evidence = (f"declared at {facts.host.declared_at}",)
        yield DoctorFinding(REGISTERED, Level.PROBLEM, sentence, evidence, "netboot reload")


def check_files(facts: HostFacts) -> Iterator[DoctorFinding]:
    """Report the faults of the files that affect the host."""
    for fault in facts.faults:
        yield DoctorFinding(FILES, Level.PROBLEM, str(replace(fault, cure="")), cure=fault.cure or None)


def check_ready(facts: HostFacts) -> Iterator[DoctorFinding]:
    """Report every reason why the host could not be installed."""
    for reason in facts.reasons:
        sentence, semicolon, cure = reason.rpartition("; ")
        yield DoctorFinding(READY, Level.PROBLEM, sentence if semicolon else reason, cure=cure if semicolon else None)


def check_state(facts: HostFacts, host: Host) -> Iterator[DoctorFinding]:
    """Report what the machine boots now, and why its boot does not proceed."""
    if facts.view is None:
        return
    install = facts.view["install"]
    once = next_boot_texts(facts.view["next_boot"])
    if once:
        boots = f"once what was requested ({once[0]})"
    else:
        boots = "the installer, which wipes its disk" if install["armed"] else "its own disk"
    sentence = f"{host.name} is {install['state']}; at its next network boot it boots {boots}"
    cure = None if install["armed"] else f"netboot install arm {host.name} allows one install"
    yield DoctorFinding(STATE, Level.NOTE, sentence, (f"armed: {armed_text(install)}",), cure)
    blocked = facts.view["blocked"]
    if blocked is not None and install["armed"]:
        level = Level.NOTE if facts.view["last_heard"] is None else Level.WARNING  # it is not powered on yet
        yield DoctorFinding(STATE, level, blocked["sentence"], (blocked["reason"],), blocked["cure"] or None)


def check_loader(facts: HostFacts, host: Host, offered: Sequence[OfferedLoader]) -> Iterator[DoctorFinding]:
    """Judge the loader of each firmware: that there is one, whole, for its CPU, and signed where that matters."""
    for each in offered:
        if each.is_known and each.loader is None:
            evidence = packages_of(each.client.cpu) if each.client.cpu is not None else ()
            sentence = f"{host.name} boots as {each.firmware} and gets no loader: {each.reason}"
            cure = f"netboot host show {host.name}; docs/events.md explains {each.reason}"
            yield DoctorFinding(LOADER, Level.PROBLEM, sentence, evidence, cure)
    content = content_of(facts, host)
    files = content.registry.boot_files
    names = frozenset(each.loader for each in offered if each.loader is not None)
    read = loader_checks.read_loaders(files, names)
    wanted = {*names, *(second for name in names if (second := second_stage(name)) is not None)}
    of_host = {file.name for name in wanted if (file := find_loader(files, name)) is not None}
    loaders = {name: loader for name, loader in read.items() if name in of_host}
    for finding in (
        *loader_checks.check_loader_files(content, loaders, names),
        *loader_checks.check_ipxe(content, loaders, names),
        *signature_checks.check_signatures(loaders),
        *signature_checks.check_secure_boot(content),
        *signature_checks.check_certificates(content, loaders, names),
        *signature_checks.check_second_stage(content, loaders, names),
    ):
        yield replace(finding, check=LOADER)


def check_deadlines(facts: HostFacts, host: Host) -> Iterator[DoctorFinding]:
    """Judge the Ignition file of the host's role."""
    for finding in check_role_files([host], facts.content.now):
        yield replace(finding, check=DEADLINES)
