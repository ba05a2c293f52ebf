"""`netboot check`: everything that can be wrong before a machine boots."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from netboot.app import from_settings
from netboot.boot.documents import Documents
from netboot.boot.readiness import NO_INTERFACE, missing_uefi_loader
from netboot.cli.loader_view import LoaderLine, loader_lines
from netboot.cli.output import json_option, print_json
from netboot.config.load import Configuration, load
from netboot.content.bootfiles import BootFiles
from netboot.content.objects import Content
from netboot.errors import ConfigError, Problem
from netboot.model.host import HostSet
from netboot.model.mac import Mac

_ANY_MAC: Final = Mac.parse("00:00:5e:00:53:01")  # RFC 7042 §2.1.2: of no machine


@click.command(short_help="Find everything that can be wrong before a machine boots.")
@json_option
@click.pass_obj
def check(config: Path, as_json: bool) -> None:
    """Check settings, hosts, loaders, content, and every host's rendered Kickstart and Ignition.

    Exit 2 where a file of the configuration has faults, each named with line and column; 1 where the files are
    fine but a machine could not be served.
    """
    try:
        configuration = load(config)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"ok": False, "faults": [_fault(problem) for problem in error.problems], "problems": []})
        raise SystemExit(2) from None
    problems = asyncio.run(_problems(configuration))
    lines = _loader_lines(configuration)
    if as_json:
        print_json(
            {"ok": not problems, "faults": [], "problems": problems, "loaders": [asdict(each) for each in lines]}
        )
    else:
        for problem in problems:
            click.echo(problem, err=True)
        click.echo("\n".join(["boot loaders:", *map(str, lines)]))
        hosts = len(configuration.hosts)
        found = f"{len(problems) or 'no'} problem{'s' if len(problems) != 1 else ''}"
        click.echo(f"{hosts} host{'s' if hosts != 1 else ''} checked, {found}")
    if problems:
        raise SystemExit(1)


async def _problems(configuration: Configuration) -> list[str]:
    settings = configuration.settings
    bootfiles = BootFiles(settings.bootfiles.directories)
    problems = list(_loader_problems(configuration, bootfiles))
    if not settings.network.interfaces:
        problems.append(NO_INTERFACE)
    content = Content(settings.content.directory)
    content.refresh()
    problems.extend(content.problems)
    documents = from_settings.documents_for(settings)
    readiness = from_settings.readiness_for(settings, documents, bootfiles=bootfiles, hosts=configuration.hosts)
    for host in configuration.hosts:
        problems.extend(await readiness.reasons(host))
    problems.extend(_script_problems(documents, configuration.hosts))
    return list(dict.fromkeys(problems))  # hosts share media and releases: each fault once


def _script_problems(documents: Documents, hosts: HostSet) -> list[str]:
    """Render what a machine gets that is not installed now; a template's fault is told of one machine, not of all."""
    shared = [*documents.autoexec_problems(_ANY_MAC), *documents.script_problems(_ANY_MAC, None)]
    for host in hosts:
        found = [problem for mac in host.macs for problem in documents.script_problems(mac, host)]
        if found:
            return list(map(str, (*shared, *found)))
    return list(map(str, shared))


def _loader_problems(configuration: Configuration, bootfiles: BootFiles) -> Iterator[str]:
    """What the files name, and what every rack needs: OCK runs on UEFI machines, and x86-64 is what they mostly are."""
    settings = configuration.settings
    policy, problems = from_settings.policy_for(settings, bootfiles, configuration.hosts)
    yield from map(str, problems)
    yield from missing_uefi_loader(policy, bootfiles)


def _loader_lines(configuration: Configuration) -> list[LoaderLine]:
    settings = configuration.settings
    bootfiles = BootFiles(settings.bootfiles.directories)
    policy, _ = from_settings.policy_for(settings, bootfiles, configuration.hosts)
    return loader_lines(policy, bootfiles)


def _fault(problem: Problem) -> dict[str, object]:
    return asdict(problem)
