"""`netboot plan`: shows what each host would get if it were armed and booted now, or how that differs from the last.

Changes nothing on the appliance; only `--diff` uses the daemon or the store.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from netboot.admin.json_views import json_view
from netboot.app import from_settings
from netboot.app.recorded_addresses import read_files
from netboot.boot.live_registry import Registry
from netboot.cli.commands.daemon_or_store import administration
from netboot.cli.views.output import config_and_json, counted, print_json
from netboot.cli.views.plan_files import write_plans
from netboot.control_socket import RefusedError
from netboot.doctor.configuration.listening_checks import links_here
from netboot.errors import UnknownHostError
from netboot.model.clock import utc_now
from netboot.model.host.host import Host
from netboot.model.install.install import Install
from netboot.model.install.served_document import ServedDocument
from netboot.operate.planning.host_plan import HostPlan, HostPlanner, offers, plan_texts
from netboot.operate.planning.plan_changes import PlanChange, plan_change
from netboot.registry.load import Configuration

Changes = Mapping[str, Sequence[PlanChange]]


@click.command(short_help="Show what each host would get at its next boot.")
@click.argument("names", metavar="[HOST]...", nargs=-1)
@click.option("--diff", "is_diff", is_flag=True, help="Compare with what was served last; exit code 1 if it differs.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write one file per document to DIR/HOST/.")
@click.option("--show-secrets", is_flag=True, help="Show secrets of the role's Ignition and of the host's values.")
@config_and_json
def plan(
    config: Path, names: tuple[str, ...], is_diff: bool, out: Path | None, show_secrets: bool, as_json: bool
) -> None:
    """Show what each host would get: offers, scripts, kernel lines, Kickstart, Ignition and what it is merged to.

    Tokens are generated at boot, so only their places are shown; secrets of role and host are hidden.
    """
    files = asyncio.run(read_files(config))
    configuration = files.load()
    hosts = _chosen(configuration, names)
    for note in files.notes(configuration.allocations, {host.name for host in hosts}):
        click.echo(f"note: {note}", err=True)
    registry, _ = from_settings.registry_for(configuration.settings, configuration)
    base_urls = from_settings.planned_urls(configuration.settings, asyncio.run(links_here()))
    if is_diff:
        changes = asyncio.run(_compared(config, registry, hosts, base_urls=base_urls))
        _print_changes(changes, as_json=as_json)
        raise SystemExit(1 if any(change.differs for found in changes.values() for change in found) else 0)
    plans = asyncio.run(_planned(registry, hosts, base_urls[0], show_secrets=show_secrets))
    if out is not None:
        write_plans(out, plans)
        written = [str(out / name) for name in plans]
        _print_written(written, as_json=as_json)
    elif as_json:
        print_json({name: asdict(planned) for name, planned in plans.items()})
    else:
        for name, planned in plans.items():
            _print(name, planned)


def _chosen(configuration: Configuration, names: Iterable[str]) -> list[Host]:
    """Return the named hosts in the order of the files; all of them if none is named."""
    wanted = set(names)
    for name in sorted(wanted):
        if configuration.hosts.get(name) is None:
            raise UnknownHostError(f"no host is called {name}; netboot host list shows them")
    return [host for host in configuration.hosts if not wanted or host.name in wanted]


async def _planned(
    registry: Registry, hosts: Sequence[Host], base_url: str, *, show_secrets: bool
) -> dict[str, HostPlan]:
    return {
        host.name: await HostPlanner(registry.documents, host, host.mac, base_url, show_secrets).plan(
            offers(host, registry.policy, Install(host.name).armed(at=utc_now(), reason="plan", attempts=1))
        )
        for host in hosts
    }


async def _compared(config: Path, registry: Registry, hosts: Sequence[Host], *, base_urls: Sequence[str]) -> Changes:
    """Compare the documents of each host with those that were served last, for the same card and interface."""
    changes: dict[str, Sequence[PlanChange]] = {}
    async with administration(config, needs_hosts=False) as opened:
        for host in hosts:
            try:
                served = [ServedDocument.parse(view) for view in json_view(await opened.served_documents(host.name))]
            except UnknownHostError:
                served = []
            except RefusedError as error:  # the daemon has not read its file yet
                if error.view.get("code") != UnknownHostError.code:
                    raise
                served = []
            changes[host.name] = [await _change(registry, host, each, base_urls=base_urls) for each in served]
    return changes


async def _change(registry: Registry, host: Host, served: ServedDocument, *, base_urls: Sequence[str]) -> PlanChange:
    base_url = served.base_url if served.base_url in base_urls else base_urls[0]
    mac = served.mac if served.mac in host.macs else host.mac
    return plan_change(await HostPlanner(registry.documents, host, mac, base_url).plan({}), served)


def _print(name: str, planned: HostPlan) -> None:
    click.secho(f"── {name}, once armed", bold=True)
    for firmware, offer in planned.offers.items():
        click.echo(f"  {firmware:<24}{offer}")
    for title, _file, text in list(plan_texts(planned))[1:]:
        click.secho(f"── {name}: {title}", bold=True)
        click.echo(text.rstrip())
    click.echo()


def _print_written(written: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"written": written})
        return
    for path in written:
        click.echo(path)


def _print_changes(changes: Changes, *, as_json: bool) -> None:
    if as_json:
        print_json({host: [asdict(change) for change in found] for host, found in changes.items()})
        return
    for host, found in changes.items():
        for change in found:
            if change.differs:
                click.echo(change.diff)
        if not found:
            click.echo(f"{host}: nothing was served yet")
        elif not any(change.differs for change in found):
            click.echo(f"{host}: {counted(len(found), 'document')} as served last")
