"""`netboot host`: the declared machines and the state of their installs; `host_editing` changes their files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

import click

from netboot.admin.texts.ages import ago
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.admin.texts.install_text import armed_text, hold_texts
from netboot.admin.texts.machine_text import (
    DISCOVERED_COLUMNS,
    discovered_rows,
    inspection_lines,
    machine_lines,
    next_boot_texts,
    one_time_lines,
)
from netboot.admin.texts.wait_text import short_wait_texts, wait_texts
from netboot.cli.commands.daemon_or_store import run_with_administration
from netboot.cli.commands.hosts.host_editing import add, approve, remove, retire, set_values
from netboot.cli.commands.hosts.host_export import export_hosts
from netboot.cli.commands.hosts.host_import import import_hosts
from netboot.cli.commands.hosts.host_one_time_boots import inspect, rescue
from netboot.cli.commands.hosts.selecting import selection_options
from netboot.cli.groups import Group
from netboot.cli.views.cause_view import cause_rows
from netboot.cli.views.checks_view import check_lines
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.model.words import printable
from netboot.operate.selection import HostSelection


@click.group(cls=Group)
def host() -> None:
    """List, show, add, change, inspect, rescue, remove, import and export the registered machines."""


for command in (add, set_values, approve, inspect, rescue, remove, retire, import_hosts, export_hosts):
    host.add_command(command)


@host.command(name="list")
@click.option("--discovered", is_flag=True, help="The unregistered machines that requested a boot.")
@selection_options
@config_and_json
def list_hosts(config: Path, discovered: bool, selection: HostSelection, as_json: bool) -> None:
    """List every host with its role, cards, install and static address; with --role or --label some of them."""
    if discovered and not selection.is_all:
        raise click.UsageError("an unregistered machine has no role and no label")
    if discovered:
        machines = run_with_administration(config, lambda daemon: daemon.machines())
        print_table(machines, as_json, DISCOVERED_COLUMNS, discovered_rows(machines))
        for line in () if as_json else one_time_lines(machines):
            click.echo(printable(line))
        return
    hosts = run_with_administration(config, lambda daemon: daemon.hosts(selection))
    rows = (
        (
            item["name"],
            item["role"],
            ", ".join(item["macs"]),
            "; ".join([item["install"]["state"], *short_wait_texts(item.get("wait"))]),
            "; ".join([armed_text(item["install"]), *next_boot_texts(item["next_boot"])]),
            ago(item["install"]["changed_at"]),
            (item["network"]["address"] or "").partition("/")[0],
        )
        for item in hosts
    )
    print_table(hosts, as_json, ("HOST", "ROLE", "MAC", "STATE", "ARMED", "CHANGED", "ADDRESS"), rows)


@host.command()
@click.argument("name", metavar="HOST")
@config_and_json
def show(config: Path, name: str, as_json: bool) -> None:
    """Show HOST with every default applied."""
    found = run_with_administration(config, lambda daemon: daemon.host(name))
    print_found(found, as_json, (f"{label:<18}{printable(text)}" for label, text in _labelled(found)))


def _labelled(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in found.items():
        match key:
            case "install":
                yield "state", f"{value['state']}, changed {ago(value['changed_at'])}"
                yield "armed", armed_text(value)
                yield from (("hold", each) for each in hold_texts(value))
            case "blocked":
                pass  # the parts of `reason`
            case "cause":
                yield from cause_rows(value)
            case _ if key in _LINES:
                yield from zip(chain([_LABELS.get(key, key)], repeat("")), _LINES[key](value), strict=False)
            case _:
                is_last = key.startswith("last_")
                yield (key.replace("_", " "), _last(value)) if is_last else (key, _shown(value))


_LABELS: Final[Mapping[str, str]] = {"wait": "waits for", "next_boot": "next boot"}
_LINES: Final[Mapping[str, Callable[[Any], Iterable[str]]]] = {
    "wait": wait_texts,
    "checks": lambda value: [*check_lines(value)] or ["–"],
    "disks": lambda value: value or ["–"],
    "machines": lambda value: [line for machine in value for line in machine_lines(machine)],
    "next_boot": next_boot_texts,
    "deadlines": deadline_texts,
    "inspections": lambda value: [line for inspection in value for line in inspection_lines(inspection)],
}


def reason_text(install: Mapping[str, Any]) -> str:
    """Return a line with the reason why an install does not proceed; empty if it proceeds."""
    blocked = install["blocked"]
    if blocked is None:
        return ""
    since = f" (since {ago(blocked['since'])})" if blocked["since"] is not None else ""
    return f"\nreason: {printable(install['reason'])}{since}"


def _last(value: Any) -> str:
    """Show the last request, offer or reason of a host, and its age."""
    if value is None:
        return "never"
    if isinstance(value, str):
        return ago(value)
    rest = {key: item for key, item in value.items() if key != "at"}
    return f"{ago(value['at'])}: {rest['reason'] if 'reason' in rest else _shown(rest)}"


def _shown(value: Any) -> str:
    match value:
        case list():
            text = ", ".join(map(_shown, value))
        case Mapping():  # a network by DHCP has keys, and no value
            text = ", ".join(f"{key} {_shown(item)}" for key, item in value.items() if item not in (None, [], {}))
        case None:
            text = ""
        case _:
            text = str(value)
    return text or "–"
