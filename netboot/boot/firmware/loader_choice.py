"""Makes the policy: lists the loaders that may be offered, and checks that each file exists and is built for its CPU.

Reads what `content.bootfiles.directories` found; decides nothing. A name is never offered if it has no file, or a file
for another CPU; the start, a reload and `netboot check` report it to the operator as a problem.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netboot.boot.firmware.requested_names import find_loader
from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import Problem
from netboot.model.boot.boot_client import Cpu
from netboot.model.boot.offer import LoaderRule, Policy, UnknownHosts
from netboot.model.host.host import Host


def policy(
    unknown: UnknownHosts, rules: Sequence[LoaderRule], *, hosts: Iterable[Host], bootfiles: BootFiles
) -> tuple[Policy, tuple[Problem, ...]]:
    """Make the policy, and list every problem of a loader that the files name.

    A rule whose loader cannot be used is left out. If a host's loader cannot be used, its machine gets the default one.
    """
    problems: list[Problem] = []
    sound: list[LoaderRule] = []
    for number, rule in enumerate(rules):
        what = _fault(rule.loader, bootfiles, wanted=rule.required_cpu)
        if what is None:
            sound.append(rule)
        else:
            problems.append(Problem("netboot.yaml", 0, 0, f"bootfiles.loaders[{number}].loader", *what))
    cpus: dict[str, Cpu] = {}
    unusable: dict[str, str] = {}
    for host in hosts:
        if host.loader is None:
            continue
        what = _fault(host.loader, bootfiles)
        if what is not None:
            unusable[host.loader] = "; ".join(what)
            problems.append(Problem(*_place(host), f"hosts.{host.name}.loader", *what))
        elif (file := find_loader(bootfiles, host.loader)) is not None and file.cpu is not None:
            cpus[host.loader] = file.cpu
    loaders, others = bootfiles.loaders(), bootfiles.other_loaders()
    made = Policy(unknown, loaders, others, tuple(sound), tuple(rules), cpus=cpus, unusable=unusable)
    return made, tuple(sorted(problems))


def renewed(before: Policy, hosts: Iterable[Host], bootfiles: BootFiles) -> Policy:
    """Choose the loaders again after the boot files changed, for the same hosts and rules; nothing else changes."""
    made, _ = policy(before.unknown, before.declared_rules, hosts=hosts, bootfiles=bootfiles)
    return replace(
        before, loaders=made.loaders, others=made.others, rules=made.rules, cpus=made.cpus, unusable=made.unusable
    )


def _place(host: Host) -> tuple[str, int, int]:
    file, line, column = host.declared_at.rsplit(":", 2)
    return file, int(line), int(column)


def _fault(name: str, bootfiles: BootFiles, *, wanted: Cpu | None = None) -> tuple[str, str] | None:
    """Return the fault of a loader and its cure; `wanted` is the CPU for which it must be built, None for any."""
    file = find_loader(bootfiles, name)
    if file is None:
        searched = ", ".join(map(str, bootfiles.directories)) or "no directory"
        return f"there is no {name} below {searched}", "put it there, or see bootfiles.directories"
    built_for = file.cpu or Cpu.X86_BIOS
    if wanted is not None and built_for is not wanted:
        return f"{file.path} is built for {built_for}, not for {wanted}", "name one that is"
    if file.cpu is None and ".efi" in file.name.lower():
        return f"{file.path} is not an EFI program that any firmware would run", "put a whole one there"
    return None
