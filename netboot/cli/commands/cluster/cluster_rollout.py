"""`netboot cluster rollout` and `netboot cluster status`: an ordered rollout of the cluster, by the daemon."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.cli.commands.daemon_or_store import with_daemon
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found, print_json, print_table, rich_table
from netboot.cli.views.rollout import rollout_view as view
from netboot.control_socket import DeafDaemonError, NoDaemonError
from netboot.model.rollout.rollout import MOST_HOSTS, MOST_PARALLEL, Phase
from netboot.model.words import printable
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.clients.rollouts_client import RolloutsClient

WATCH_S: Final = 1.0
RESTART_S: Final = 60.0  # of the daemon, which a rollout survives
_REASON: Final = click.option("--reason", default="", help="Why; it is recorded.")
_WATCH: Final = click.option(
    "--watch",
    is_flag=True,
    help="Show each change until the rollout has ended; exit code 1 unless every host is ready.",
)


class _RolloutGroup(Group):
    """A group whose command is `begin` if the first word is none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_help = args[:1] in (["--help"], ["-h"])
        if not is_help and args[:1] and args[0] in self.commands:
            return super().parse_args(ctx, args)
        return super().parse_args(ctx, args if is_help else ["begin", *args])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of `begin`, which needs no word, before the commands."""
        records = [each.get_help_record(ctx) for each in self.commands["begin"].params if each.name != "config"]
        with formatter.section("Options without a command"):
            formatter.write_dl([each for each in records if each is not None])
        super().format_commands(ctx, formatter)


@click.group(cls=_RolloutGroup, short_help="Install the hosts and let them join the cluster in order.")
def rollout() -> None:
    """Install the hosts and let them join the cluster in order; without a command: begin.

    `netboot cluster rollout --plan` shows what would happen, `netboot cluster rollout [HOST]...` begins.
    """


@rollout.command()
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@click.option("--plan", "only_plan", is_flag=True, help="Show the schedule with its deadlines; change nothing.")
@click.option(
    "--max-parallel",
    type=click.IntRange(1, MOST_PARALLEL),
    metavar="N",
    help="Installs, and joins of workers, at a time.",
)
@click.option(
    "--failure-budget", type=click.IntRange(0, MOST_HOSTS), metavar="N", help="Failed hosts that are accepted."
)
@click.option("--no-power", is_flag=True, help="A person powers every machine on.")
@click.option("--replace", metavar="HOST", help="Drain, reset and delete the node HOST, then install it anew.")
@click.option("--run", "is_run", is_flag=True, help="With --replace: do it; without, it is shown.")
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
@_WATCH
@config_and_json
def begin(config: Path, *, only_plan: bool, is_run: bool, yes: bool, watch: bool, as_json: bool, **given: Any) -> None:
    """Begin a rollout of HOSTs, without names of every declared host that is not ready.

    Their disks are WIPED unless they are installed already. With --plan, and with --replace without --run, nothing is
    changed: the schedule, its deadlines and what a person has to do are shown.
    """
    from netboot.operate.rollout.new_rollout import RolloutRequest, refused  # slow to load

    if is_run and given["replace"] is None:
        raise click.UsageError("--run is for --replace HOST")
    power = not given.pop("no_power")
    request = RolloutRequest(**given, power=power)
    plan = _request(config, lambda rollouts: rollouts.plan(request))
    if only_plan or (request.replace is not None and not is_run):
        _print_plan(plan, as_json)
        if plan["refusals"]:
            raise SystemExit(1)
        return
    if plan["refusals"]:
        raise refused(plan["refusals"])
    if request.replace is None:  # these hosts are confirmed, and no other one
        request = replace(request, hosts=[each["host"] for each in plan["schedule"]["hosts"]])
    if not yes:
        _print_plan(plan, as_json=False, is_error=True)
        names = ", ".join(each["host"] for each in plan["schedule"]["hosts"] if each["install_at"])
        click.confirm(f"Begin? The disks of {names or 'no hosts'} are WIPED", abort=True, err=True)
    found = _request(config, lambda rollouts: rollouts.begin(request))
    _print_rollout(found, as_json)
    if watch:
        _watch(config, as_json=as_json)


@rollout.command()
@click.option("--commands", "only_commands", is_flag=True, help="Print the commands that a person runs, with secrets.")
@_WATCH
@config_and_json
def show(config: Path, *, only_commands: bool, watch: bool, as_json: bool) -> None:
    """Show the rollout that began last: each host's phase, commands, what to do next."""
    if only_commands:
        printed = _request(config, lambda rollouts: rollouts.printed())
        print_found(printed, as_json, (line for each in printed for line in each["commands"]))
        return
    found = _request(config, lambda rollouts: rollouts.show())  # only a daemon that answered is waited for later
    if watch:
        _watch(config, as_json=as_json)
        return
    _print_rollout(found, as_json)


@rollout.command()
@_REASON
@config_and_json
def pause(config: Path, reason: str, as_json: bool) -> None:
    """Begin nothing new; what has begun goes on."""
    _print_rollout(_request(config, lambda rollouts: rollouts.pause(reason=reason)), as_json)


@rollout.command()
@config_and_json
def resume(config: Path, as_json: bool) -> None:
    """Go on: hosts that failed are accepted, commands that failed run again."""
    _print_rollout(_request(config, lambda rollouts: rollouts.resume()), as_json)


@rollout.command()
@click.argument("hosts", nargs=-1, metavar="[HOST]...")
@_REASON
@config_and_json
def cancel(config: Path, hosts: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Take HOSTs out of the rollout; without names all of them, which ends it."""
    _print_rollout(_request(config, lambda rollouts: rollouts.cancel(hosts, reason=reason)), as_json)


@rollout.command()
@click.argument("host")
@config_and_json
def retry(config: Path, host: str, as_json: bool) -> None:
    """Install HOST again, which failed or was cancelled."""
    _print_rollout(_request(config, lambda rollouts: rollouts.retry(host)), as_json)


@rollout.command()
@config_and_json
def confirm(config: Path, as_json: bool) -> None:
    """Confirm that a person did what the rollout waits for."""
    _print_rollout(_request(config, lambda rollouts: rollouts.confirm()), as_json)


@click.command()
@config_and_json
def status(config: Path, as_json: bool) -> None:
    """Show the cluster: nodes, roles, states, deadlines, the next command."""
    found = _request(config, lambda rollouts: rollouts.cluster())
    print_table(found, as_json, view.NODE_COLUMNS, view.node_rows(found))
    if not as_json:
        print_found(found, False, view.text_of(view.cluster_lines(found)))


def _request(config: Path, request: "Callable[[RolloutsClient], Coroutine[Any, Any, Any]]") -> Any:
    """Send a request to the daemon; raise NoDaemonError if none runs."""
    socket = load_settings(config).admin.socket
    return asyncio.run(with_daemon(socket, config, lambda daemon: request(daemon.rollouts)))


def _print_plan(plan: Mapping[str, Any], as_json: bool, *, is_error: bool = False) -> None:
    if is_error:
        for line in ["\t".join(view.PLAN_COLUMNS), *map("\t".join, view.plan_rows(plan))]:
            click.echo(line, err=True)
        for line in view.text_of(view.plan_lines(plan)):
            click.echo(line, err=True)
        return
    print_table(plan, as_json, view.PLAN_COLUMNS, view.plan_rows(plan))
    if not as_json:
        print_found(plan, False, view.text_of(view.plan_lines(plan)))


def _print_rollout(found: Mapping[str, Any], as_json: bool) -> None:
    print_table(found, as_json, view.host_columns(found), view.host_rows(found))
    if not as_json:
        print_found(found, False, view.text_of(view.rollout_lines(found)))


def _watch(config: Path, *, as_json: bool) -> None:
    """Show the rollout until it has ended: a table that changes on a terminal, else a line for each change.

    Ends the command with exit code 1 unless every host is ready.
    """
    is_table = sys.stdout.isatty() and not as_json
    ended = _watched_table(config) if is_table else _watched_lines(config, as_json=as_json)
    if any(each["phase"] != Phase.READY for each in ended["hosts"]):
        raise SystemExit(1)


def _watched_lines(config: Path, *, as_json: bool) -> Mapping[str, Any]:
    before: Mapping[str, Any] | None = None
    while True:
        found = _shown(config)
        if as_json and view.is_changed(before, found):
            print_json(found)
        elif not as_json:
            print_found(found, False, view.text_of(view.changed_lines(before, found)))
        if found["ended_at"] is not None:
            return found
        before = found
        asyncio.run(asyncio.sleep(WATCH_S))


def _watched_table(config: Path) -> Mapping[str, Any]:
    from rich.console import Group as Lines  # slow to load
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            found = _shown(config)
            lines = Text("\n".join(view.text_of(view.rollout_lines(found))))
            live.update(Lines(rich_table(view.host_columns(found), view.host_rows(found)), lines), refresh=True)
            if found["ended_at"] is not None:
                return found
            asyncio.run(asyncio.sleep(WATCH_S))


def _shown(config: Path) -> Mapping[str, Any]:
    """Show the rollout, also after a restart of the daemon; raise NoDaemonError if none runs for a minute."""
    until_s: float | None = None
    while True:
        try:
            found: Mapping[str, Any] = _request(config, lambda rollouts: rollouts.show())
        except (NoDaemonError, DeafDaemonError) as error:
            if until_s is None:
                until_s = time.monotonic() + RESTART_S
                click.echo(f"{printable(str(error))}; this waits {RESTART_S:g} s for it", err=True)
            if time.monotonic() >= until_s:
                raise
            asyncio.run(asyncio.sleep(WATCH_S))
        else:
            return found
