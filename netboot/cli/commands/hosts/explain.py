"""`netboot explain`: where each value of a host comes from, and what its machine gets now and why."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from netboot.admin.json_views import json_view
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.admin.texts.install_text import armed_text
from netboot.admin.texts.machine_text import next_boot_texts
from netboot.admin.texts.value_text import recorded_text, value_text
from netboot.app import from_settings
from netboot.app.administration.written_hosts import written_values
from netboot.app.recorded_addresses import read_files
from netboot.cli.commands.daemon_or_store import run_with_administration
from netboot.cli.commands.hosts.host import reason_text
from netboot.cli.views.output import config_and_json, print_found
from netboot.control_socket import RefusedError
from netboot.doctor.configuration.listening_checks import links_here
from netboot.errors import UnknownHostError
from netboot.model.clock import utc_now
from netboot.model.host.firmware import LocalBoot
from netboot.model.host.host import HostName
from netboot.model.install.ignition_way import IgnitionWay
from netboot.model.install.inspection import OneTimeBoot, RequestedBoot
from netboot.model.install.install import Install
from netboot.model.words import printable
from netboot.operate.planning.next_boot import NO_BOOT, NextBoot, next_boot
from netboot.registry.load import Configuration
from netboot.registry.load import explain as explain_host


@click.command(short_help="Show where each value of a host comes from, and what it gets now.")
@click.argument("host", metavar="HOST")
@config_and_json
def explain(config: Path, host: str, as_json: bool) -> None:
    """Show where each value of HOST comes from, with those that it overrides; then what its machine gets now, and why.

    The values are those of the files. The daemon has them after a reload; if they have a fault, it keeps the accepted.
    """
    name, files = HostName(host), asyncio.run(read_files(config))
    explained = written_values(explain_host(files.written, name, files.recorded))
    state = _state(config, host)
    configuration = files.configuration()
    found = {
        "host": host,
        "values": json_view(explained.values),
        "faults": [asdict(fault) for fault in explained.faults],
        "install": state,
        **json_view(asyncio.run(_next_boot(configuration, host, state))),
    }
    if files.note is not None:
        click.echo(f"note: {files.note}", err=True)
    print_found(found, as_json, map(printable, _lines(found, [str(fault) for fault in explained.faults])))


def _state(config: Path, host: str) -> Mapping[str, Any] | None:
    """Return the install of a host; None if the daemon has not read its file yet."""
    try:
        return dict(run_with_administration(config, lambda daemon: daemon.install(host), needs_hosts=False))
    except UnknownHostError:
        return None
    except RefusedError as error:
        if error.view.get("code") != UnknownHostError.code:
            raise
        return None


async def _next_boot(configuration: Configuration, name: str, state: Mapping[str, Any] | None) -> NextBoot:
    """Return what each kind of firmware is offered now, and the URLs of the machine; nothing for a faulty host."""
    host = configuration.hosts.get(name)
    if host is None:
        return NO_BOOT
    registry, _ = from_settings.registry_for(configuration.settings, configuration)
    install, requested = Install(host.name), None
    if state is not None and state["arming"] is not None:
        install = install.armed(at=utc_now(), reason="explain", attempts=1)
    if state is not None and (request := state["next_boot"]) is not None:
        requested = RequestedBoot(OneTimeBoot(request["kind"]), utc_now(), request["medium"])
    base_url = from_settings.planned_urls(configuration.settings, await links_here())[0]
    stored = state["local_boots"] if state is not None else {}
    known = {name: found for name, value in stored.items() if (found := LocalBoot.from_json(value)) is not None}
    return next_boot(host, registry, install, requested, local_boots=known, base_url=base_url)


def _lines(found: Mapping[str, Any], faults: Sequence[str]) -> Iterator[str]:
    width = max((len(value["key"]) for value in found["values"]), default=0)
    for value in found["values"]:
        yield f"{value['key']:<{width}}  {value_text(value['value']) or '–'}"
        for word, origins in (("from", value["from"]), ("overrides", value["overrides"])):
            for origin in origins:
                yield f"{'':<{width}}    {word} {origin['file']}:{origin['line']}:{origin['column']}: {origin['where']}"
        if "recorded_at" in value:
            yield f"{'':<{width}}    {recorded_text(value['recorded_at'])}"
    yield from (f"fault: {fault}" for fault in faults)
    install = found["install"]
    if install is None:
        yield "\nstate: the daemon does not know this host; netboot reload"
    else:
        yield f"\nstate: {install['state']}\narmed: {armed_text(install)}{reason_text(install)}"
        yield from (f"next boot: {text}" for text in next_boot_texts(install["next_boot"]))
        yield from (f"deadline: {text}" for text in deadline_texts(install["deadlines"]))
    yield from (f"offer to {firmware}: {offer}" for firmware, offer in found["offers"].items())
    yield from (f"local boot of {firmware}: {method}" for firmware, method in found["local_boot"].items())
    yield from (f"{name.replace('_', ' ')}: {url}" for name, url in found["urls"].items() if url)
    if found["ignition"] == IgnitionWay.EMBED:
        yield "ignition: the installer puts it into /boot, and the first boot requests none (install.ignition: embed)"
    if found["updates"]:
        yield f"updates: {found['updates']}"
