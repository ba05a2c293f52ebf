"""`netboot install`: arm a host, cancel the arming, follow its boot."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.admin.json_views import json_view
from netboot.admin.texts.ages import ago
from netboot.admin.texts.deadline_text import deadline_texts
from netboot.admin.texts.install_text import armed_text, hold_texts, identity_text
from netboot.admin.texts.machine_text import next_boot_texts
from netboot.admin.texts.wait_text import wait_texts
from netboot.cli.commands.daemon_or_store import CHANGING, run_with_administration
from netboot.cli.commands.hosts.host import reason_text
from netboot.cli.commands.hosts.install_boots import history, show_status, watch_all
from netboot.cli.commands.hosts.install_capture import capture
from netboot.cli.commands.hosts.install_logs import logs
from netboot.cli.commands.hosts.selecting import check_selection, selection_options
from netboot.cli.groups import Group
from netboot.cli.views.boots.boot_view import StatusLine
from netboot.cli.views.cause_view import cause_rows
from netboot.cli.views.checks_view import check_lines, reported_check_lines
from netboot.cli.views.event_words import event_words
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.errors import NetbootError
from netboot.model.install.install import MOST_ATTEMPTS
from netboot.model.urls import page_of_host
from netboot.model.words import printable
from netboot.operate.arming import ArmRequest, CancelRequest, ConfirmRequest
from netboot.operate.selection import HostSelection
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration

_ENDS: Final = ("ready", "failed")  # the steps that end a watch
NOT_DECLARED = "not declared in the hosts files"


@click.group(cls=Group)
def install() -> None:
    """Arm hosts for one install, and follow it."""


install.add_command(history)
install.add_command(logs)
install.add_command(capture)


@install.command()
@click.argument("hosts", metavar="[HOST...]", nargs=-1)
@selection_options
@click.option("--reason", default="", help="The reason, recorded in the host's history.")
@click.option(
    "--attempts", type=click.IntRange(1, MOST_ATTEMPTS), help="Boots into the installer; default: install.attempts."
)
@click.option("--force", is_flag=True, help="Arm a host even if it cannot be installed now.")
@config_and_json
def arm(
    config: Path,
    hosts: tuple[str, ...],
    *,
    selection: HostSelection,
    reason: str,
    attempts: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Allow each HOST to be installed once, at its next network boot. The install wipes its disk.

    --role and --label select the hosts instead. Of several hosts all are armed or none. A host that cannot be installed
    now is refused, with every reason.
    """
    check_selection(hosts, selection)
    request = ArmRequest(hosts, reason, attempts, force, selection)
    armed = run_with_administration(config, lambda daemon: daemon.arm(request), work=CHANGING)
    public_url = load_settings(config).admin.public_url
    summaries = (armed_summary(found, public_url=public_url) for found in armed)
    print_found(armed[0] if len(hosts) == 1 else armed, as_json, summaries)
    warnings = [f"armed anyway: {reason}" for found in armed for reason in found["reasons"]]
    warnings += [warning for found in armed for warning in found["warnings"]]
    for warning in dict.fromkeys(() if as_json else warnings):
        click.echo(f"warning: {warning}", err=True)


def armed_summary(found: Mapping[str, Any], *, public_url: str | None = None) -> str:
    """Describe what the next network boot of an armed host does; with the appliance's URL, name the host's page."""
    host, arming = found["host"], found["arming"]
    commit = f" (commit {arming['commit'][:12]})" if arming["commit"] else ""
    disk, release = arming["disk"] or "no disk", arming["release"] or "no release"
    values = {
        "MAC": ", ".join(arming["macs"]),
        "disk": disk,
        "release": f"{release}{commit}",
        "boot media": found["boot_media"] or "none",
        "attempts": arming["attempts"],
    }
    lines = [f"  {name:<12}{printable(str(value))}" for name, value in values.items()]
    lines += [f"  {'deadline':<12}{text}" for text in deadline_texts(found.get("deadlines", ()))]
    if public_url is not None:
        lines.append(f"  {'page':<12}{page_of_host(public_url, host)}")
    head = f"{host} is armed: its next network boot wipes {disk} and installs {release}; netboot install watch {host}"
    return "\n".join([printable(head), *lines])


@install.command()
@click.argument("hosts", metavar="[HOST...]", nargs=-1)
@selection_options
@click.option("--reason", default="", help="The reason, recorded in the host's history.")
@config_and_json
def cancel(config: Path, hosts: tuple[str, ...], selection: HostSelection, reason: str, as_json: bool) -> None:
    """Cancel each HOST's arming: from now on it boots its own disk. HOST need not be in the hosts files.

    --role and --label select declared hosts instead.
    """
    check_selection(hosts, selection)

    async def cancelled(daemon: "Administration | ControlClient") -> Sequence[Any]:
        if len(hosts) == 1:  # also accepted by the daemon of an earlier version
            return [await daemon.cancel(hosts[0], reason=reason)]
        return await daemon.cancel_all(CancelRequest(hosts, reason, selection))

    found = run_with_administration(config, cancelled, needs_hosts=False, work=CHANGING)
    print_found(found[0] if len(hosts) == 1 else found, as_json, (note for each in found for note in each["notes"]))


@install.command()
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
@click.option("--hold", "hold_id", help="The id of the hold that was read; another one is not confirmed.")
@click.option("--reason", default="", help="The reason, recorded in the host's history.")
@config_and_json
def confirm(config: Path, hosts: tuple[str, ...], hold_id: str | None, reason: str, as_json: bool) -> None:
    """Confirm the machine of each held HOST: its install goes on within seconds, and wipes the disk.

    netboot install show HOST has the reason and what the machine shows; netboot install cancel HOST ends the arming.
    """
    if hold_id is not None and len(hosts) > 1:
        raise click.UsageError("--hold is of one host")

    async def confirmed(daemon: "Administration | ControlClient") -> Sequence[Any]:
        return [await daemon.confirm(ConfirmRequest(host, hold_id, reason)) for host in dict.fromkeys(hosts)]

    found = run_with_administration(config, confirmed, needs_hosts=False, work=CHANGING)
    shown = ((each["host"], identity_text(each["confirmed"]["shown"])) for each in found)
    lines = (f"{host} is confirmed ({identity}); netboot install watch {host}" for host, identity in shown)
    print_found(found[0] if len(found) == 1 else found, as_json, lines)


@install.command()
@click.argument("host", required=False)
@config_and_json
def show(config: Path, host: str | None, as_json: bool) -> None:
    """Show the state of HOST's install; without HOST, every install, also of removed hosts."""
    if host is None:
        _show_all(config, as_json=as_json)
        return
    found = run_with_administration(config, lambda daemon: daemon.install(host), needs_hosts=False)
    text = f"{host} is {found['state']}, changed {ago(found['changed_at'])}; armed: {armed_text(found)}"
    text = text if found["declared"] else f"{text}; {NOT_DECLARED}"
    waits = [f"waits for: {each}" for each in wait_texts(found.get("wait"))]
    deadlines = [f"deadline: {each}" for each in deadline_texts(found["deadlines"])]
    checks = ["checks before the install:", *(f"  {line}" for line in check_lines(found["checks"]))]
    machine = [f"machine: {identity_text(found['machine']['identity'])}"] if found.get("machine") else []
    once = [f"next boot: {each}" for each in next_boot_texts(found["next_boot"])]
    cause = [f"{label + ':' if label else '':<9} {line}" for label, line in cause_rows(found["cause"])]
    lines = [
        text + reason_text(found),
        *cause,
        *(f"hold: {each}" for each in hold_texts(found)),
        *waits,
        *once,
        *machine,
        *deadlines,
        *(checks if found["checks"] else ()),
    ]
    print_found(found, as_json, lines)


@install.command(name="list")
@config_and_json
def list_installs(config: Path, as_json: bool) -> None:
    """List every install, also of hosts that were removed from the hosts files."""
    _show_all(config, as_json=as_json)


def _show_all(config: Path, *, as_json: bool) -> None:
    found = run_with_administration(config, lambda daemon: daemon.installs(), needs_hosts=False)
    rows = (
        (
            item["host"],
            item["state"],
            armed_text(item),
            ago(item["changed_at"]),
            "; ".join(_notes(item)),
        )
        for item in found
    )
    print_table(found, as_json, ("HOST", "STATE", "ARMED", "CHANGED", "NOTE"), rows)


def _notes(item: Mapping[str, Any]) -> Iterator[str]:
    if not item["declared"]:
        yield NOT_DECLARED
    if item.get("hold"):
        yield f"held, a person must confirm it: netboot install show {item['host']}"


@install.command()
@click.argument("host", required=False)
@click.option("--all", "is_all", is_flag=True, help="Show every machine that boots now.")
@click.option("--follow/--no-follow", default=True, help="Follow until the host is ready or failed.")
@config_and_json
def watch(config: Path, host: str | None, *, is_all: bool, follow: bool, as_json: bool) -> None:
    """Show HOST's boot step by step, live, from the last arming on, and how far what it waits for is.

    --json prints one event per line; with --all one boot per line, when it changes.
    """
    if (host is None) != is_all:
        raise click.UsageError("name one HOST, or give --all")
    if host is None:
        watch_all(config, follow=follow, as_json=as_json)
    else:
        _watch_host(config, host, follow=follow, as_json=as_json)


def _watch_host(config: Path, host: str, *, follow: bool, as_json: bool) -> None:
    async def ask(daemon: "Administration | ControlClient") -> str | None:
        armed_at = [move["at"] for move in json_view(await daemon.history(host)) if move["what"] == "armed"]
        line = StatusLine()
        timeline = Timeline(since=armed_at[-1] if armed_at else None, as_json=as_json, line=line)
        from netboot.client import ControlClient  # its HTTP library is slow to load

        if follow and not isinstance(daemon, ControlClient):
            raise NetbootError("no daemon runs, so nothing will happen; netboot serve, or watch with --no-follow")
        if follow:
            install = json_view(await daemon.install(host))
            for text in next_boot_texts(install["next_boot"]):
                click.echo(f"next boot of {host}: {text}", err=True)
            for word in before_the_boot(host, install, armed_at):
                click.echo(word, err=True)
        async with AsyncExitStack() as stack:
            if isinstance(daemon, ControlClient) and follow and not as_json:
                status = asyncio.create_task(show_status(daemon, host, line))
                stack.callback(line.clear)
                stack.callback(status.cancel)
            async for event in daemon.events(host=host, follow=follow):
                timeline.take(json_view(event))
                if follow and timeline.ended_with is not None:
                    break
        return timeline.ended_with

    if run_with_administration(config, ask, needs_hosts=False) == "failed":
        raise SystemExit(1)


def before_the_boot(host: str, install: Mapping[str, Any], armed_at: list[str]) -> list[str]:
    """Return why the timeline is empty; empty if an install runs or has ended."""
    if not armed_at:
        return [f"{host} was never armed: it boots its own disk; netboot install arm {host}"]
    words = []
    blocked, arming = install["blocked"], install["arming"]
    if blocked is not None and blocked["since"] is not None and blocked["since"] < armed_at[-1]:
        words.append(printable(str(install["reason"])))  # recorded before the arming, with which the timeline begins
    if arming is not None and not arming["spent"]:
        words.append(f"waiting for {host}'s network boot; Ctrl-C ends the watch, not the arming")
    return words


def _lines_below(word: str, data: Mapping[str, Any]) -> Iterable[str]:
    """Return what is printed below an event: the table of its checks, or the evidence of its cause."""
    match word:
        case "checks":
            return reported_check_lines(data["checks"])
        case "overdue" if data.get("evidence"):
            return str(data["evidence"]).splitlines()
        case _:
            return ()


class Timeline:
    """Prints events as they come, in place of `line`. `since` (ISO 8601) hides earlier events."""

    def __init__(self, *, since: str | None, as_json: bool, line: StatusLine | None = None) -> None:
        self._status = line or StatusLine()
        self._since = datetime.fromisoformat(since) if since else None
        self._as_json = as_json
        self._began: datetime | None = None
        self.ended_with: str | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Print an event that is a step of the boot or a reason why the boot does not proceed; as JSON, every event."""
        at = datetime.fromisoformat(event["at"])
        if self._since is not None and at < self._since:
            return
        step, data = event["step"], event["data"]
        if step is not None:
            self.ended_with = step if step in _ENDS else None
        if self._as_json:
            click.echo(json.dumps(event, ensure_ascii=False))
            return
        if (words := event_words(event)) is not None:
            self._status.clear()
            self._line(at, *words)
            for line in _lines_below(words[0], data):
                click.echo(f"{'':24}{printable(line)}")

    def _line(self, at: datetime, word: str, text: str) -> None:
        self._began = self._began or at
        seconds = (at - self._began).total_seconds()
        click.echo(f"{seconds:7.1f} s  {word:<12}{printable(text)}")
