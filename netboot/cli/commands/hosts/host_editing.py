"""`netboot host add|set|approve|remove|retire`: changes the files that declare hosts, one per host, then reloads."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.admin.json_views import json_view
from netboot.admin.texts.machine_text import every_fact, inspection_lines
from netboot.admin.texts.reload_text import report
from netboot.cli.commands.daemon_or_store import CHANGING, READING, run_with_administration
from netboot.cli.commands.hosts.selecting import patch_of, value_of
from netboot.cli.views.output import config_and_json, print_found
from netboot.control_socket import RefusedError
from netboot.errors import ConfigError, Problem
from netboot.model.host.host import Role
from netboot.model.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from netboot.client import HostChangesClient
    from netboot.operate.registration.host_changes import HostChanges

WRITING: Final = "changed hosts files and store"
_REASON: Final = click.option("--reason", default="", help="The reason, recorded in the host's history.")
_FORCE: Final = click.option("--force", is_flag=True, help="Also while the host's install runs.")


@click.command()
@click.argument("name", metavar="HOST")
@click.argument("assignments", metavar="KEY=VALUE...", nargs=-1, required=True)
@config_and_json
def add(config: Path, name: str, assignments: tuple[str, ...], as_json: bool) -> None:
    """Declare HOST in a file of its own in hosts.d; it is registered, not armed.

    KEY is a key of docs/settings.md, with dots for tables: role=worker mac=52:54:00:aa:bb:03
    network.address=192.0.2.103/24. A KEY that is given several times is a list; VALUE may be YAML in brackets.
    """
    from netboot.operate.registration.host_changes import HostValues  # slow to load

    host = HostValues(name, patch_of(assignments))
    _print_changed(_changed(config, lambda changes: changes.add(host)), as_json)


@click.command(name="set")
@click.argument("name", metavar="HOST")
@click.argument("assignments", metavar="KEY=VALUE...", nargs=-1, required=True)
@config_and_json
def set_values(config: Path, name: str, assignments: tuple[str, ...], as_json: bool) -> None:
    """Change keys of HOST in its file; KEY= removes one, so that the inherited value counts.

    A file that a person wrote or commented is refused with the line. An arming ends if MACs, disk or release change.
    """
    from netboot.operate.registration.host_changes import HostValues  # slow to load

    host = HostValues(name, patch_of(assignments))
    _print_changed(_changed(config, lambda changes: changes.edit(host)), as_json)


@click.command()
@click.argument("macs", metavar="MAC...", nargs=-1, required=True)
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True, help="The role of the hosts.")
@click.option("--name", default="", help="The pattern of the names, such as worker-{n}; default: ROLE-{n}.")
@click.option("--address", "addresses", multiple=True, help="An address with prefix; one for each MAC, in order.")
@click.option("--pool", help="The address pool from which the hosts take an address.")
@click.option("--group", "groups", multiple=True, help="A group of the hosts.")
@click.option("--disk", default="", help="The disk of each host: a path below /dev/disk, or a rule as {serial: S3Z1}.")
@click.option("--boot-card-only", is_flag=True, help="Take only the card that booted, not all that were inspected.")
@click.option("--dry-run", is_flag=True, help="Show what was reported and what would be written; change nothing.")
@config_and_json
def approve(config: Path, as_json: bool, dry_run: bool, disk: str, **given: Any) -> None:
    """Register unregistered machines as hosts, after showing what each reported; they are not armed.

    netboot host list --discovered lists them. All are registered or none. {n} takes the next free numbers. A machine
    that was inspected gets all its cards, unless another host has one of them; a --disk that is not exactly one of its
    disks is refused.
    """
    from netboot.operate.registration.approval import ApprovalRequest  # slow to load

    given["disk"] = value_of("--disk", disk)
    request, rehearsal = ApprovalRequest(**given), ApprovalRequest(**given, dry_run=True)

    async def approved(changes: "HostChanges | HostChangesClient") -> Any:
        shown = json_view(await changes.approve(rehearsal))
        print_found(shown, as_json and dry_run, () if as_json else map(printable, _reported(shown)))
        return None if dry_run else await changes.approve(request)

    changed = _changed(config, approved, work=READING if dry_run else WRITING)
    if not dry_run:
        _print_changed(changed, as_json)


@click.command()
@click.argument("name", metavar="HOST")
@_REASON
@_FORCE
@config_and_json
def remove(config: Path, name: str, reason: str, force: bool, as_json: bool) -> None:
    """Delete HOST's file: its machine is unregistered. An arming is cancelled; a running install is refused."""
    from netboot.operate.registration.host_changes import RemovalRequest  # slow to load

    request = RemovalRequest(name, reason, force)
    _print_changed(_changed(config, lambda changes: changes.remove(request)), as_json)


@click.command()
@click.argument("name", metavar="HOST")
@click.option("--yes", is_flag=True, help="Do not request the name again; not with --wipe.")
@click.option("--wipe", is_flag=True, help="Let the machine's next network boot erase the host's disk, and no other.")
@click.option("--yes-wipe", "confirmed", metavar="HOST", help="--wipe, confirmed by the name instead of a question.")
@click.option("--cancel-wipe", is_flag=True, help="End such a wipe before it begins; HOST may be a MAC.")
@_REASON
@_FORCE
@config_and_json
def retire(
    config: Path,
    name: str,
    *,
    yes: bool,
    wipe: bool,
    confirmed: str | None,
    cancel_wipe: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Take HOST out of service: cancel its arming and its tokens, delete its file. No disk is wiped without --wipe.

    The machine is unregistered afterwards: it boots its own disk, or waits with hosts.unknown: wait. A wipe happens
    once, and ends if the machine is registered again before it.
    """
    from netboot.operate.registration.host_changes import RemovalRequest  # slow to load

    wipes = wipe or confirmed is not None
    if cancel_wipe:
        if wipes:
            raise click.UsageError("--cancel-wipe ends a wipe, and the other options request one")
        _cancel_wipe(config, name, as_json=as_json)
        return
    if wipes and yes and confirmed is None:
        raise click.UsageError(f"--yes does not confirm a wipe; use --yes-wipe {name}")
    if confirmed is None and not yes:
        effect = "its next network boot ERASES its disk" if wipes else "its disk is not wiped"
        confirmed = click.prompt(f"Type {name} to retire it: its file is deleted, {effect}", err=True)
    if confirmed not in (None, name):
        raise click.ClickException(f"{confirmed!r} is not {name}; nothing was changed")
    request = RemovalRequest(name, **given, wipe=name if wipes else "")
    _print_changed(_changed(config, lambda changes: changes.retire(request)), as_json)


def _cancel_wipe(config: Path, name: str, *, as_json: bool) -> None:
    found = run_with_administration(
        config, lambda daemon: daemon.one_time_boots.cancel_wipe(name), needs_hosts=False, work=CHANGING
    )
    print_found(found, as_json, [printable(found["note"])])


def _changed(
    config: Path,
    change: "Callable[[HostChanges | HostChangesClient], Coroutine[Any, Any, Any]]",
    *,
    work: str = WRITING,
) -> Mapping[str, Any]:
    """Request a change, from the daemon if one runs; raise ConfigError with the faults that it would make."""
    try:
        found: Mapping[str, Any] = json_view(
            run_with_administration(config, lambda daemon: change(daemon.host_changes), needs_hosts=False, work=work)
        )
    except RefusedError as error:
        if error.view.get("code") != ConfigError.code:
            raise
        raise ConfigError([Problem(**fault) for fault in error.view["faults"]]) from None
    return found


def _print_changed(changed: Mapping[str, Any], as_json: bool) -> None:
    lines = [_file_line(each) for each in changed["hosts"]]
    taken = changed["reload"]
    print_found(changed, as_json, map(printable, [*lines, *changed["notes"], *(report(taken) if taken else ())]))


def _file_line(change: Mapping[str, Any]) -> str:
    is_deleted = change["text"] is None
    return f"{change['host']}: {change['file']} {'deleted' if is_deleted else 'written'}"


def _reported(shown: Mapping[str, Any]) -> Iterator[str]:
    """Describe each machine by every field that was reported, and the file that its host gets."""
    for machine, change in zip(shown["machines"], shown["hosts"], strict=True):
        yield f"{machine['host']}, the machine {machine['machine']['mac']}, reported (not verified):"
        yield from (f"  {key:<17} {text}" for key, text in every_fact(machine["machine"]))
        if machine["inspection"] is not None:
            first, *rest = inspection_lines(machine["inspection"])
            yield f"  inspection of {first}"
            yield from (f"  {line}" for line in rest)
        if machine["macs"]:
            yield f"  {'cards of the host':<17} {', '.join(machine['macs'])}"
        yield from (f"  caution: {note}" for note in machine["notes"])
        yield f"  {change['file']}:"
        yield from (f"    {line}" for line in change["text"].splitlines() if not line.startswith("#"))
