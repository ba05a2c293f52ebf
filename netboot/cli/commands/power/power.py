"""`netboot power`: switches machines on and off by their BMCs, and lets them boot from the network once."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.admin.texts.ages import shown_time
from netboot.cli.commands.daemon_or_store import with_daemon
from netboot.cli.commands.hosts.selecting import check_selection, selection_options
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found, print_table
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.power.power import OPEN_STATES, IntentState, PowerAction, PowerState
from netboot.model.words import printable
from netboot.operate.power.power_request import PowerRequest
from netboot.operate.selection import EVERY_HOST, HostSelection
from netboot.registry.load import load_settings

if TYPE_CHECKING:
    from netboot.client import ControlClient

SENT_S: Final = 300.0  # until every BMC has answered
REACHED_S: Final = 120.0  # until a machine is on or off
_PAUSE_S: Final = 2.0
_COLUMNS: Final = ("HOST", "POWER", "BOOT", "LAST ACTION", "FAULT")

_hosts = click.argument("hosts", metavar="HOST...", nargs=-1)
_force = click.option(
    "--force", is_flag=True, help="Also while the disk is written, or in the first boot, which breaks the node."
)
_wait = click.option("--wait", is_flag=True, help="Wait until each machine is on, or off, 2 minutes at most.")


def _breaking_options(command: Callable[..., None]) -> Callable[..., None]:
    """Pass what each action has that can break a node: hosts, selection, --force, --wait."""
    return _hosts(selection_options(_force(_wait(config_and_json(command)))))


@click.group(cls=Group)
def power() -> None:
    """Switch machines on and off by their BMCs (Redfish), and let them boot from the network once."""


@power.command()
@_hosts
@selection_options
@click.option("--all", "has_all", is_flag=True, help="Every host that has a BMC.")
@config_and_json
def status(config: Path, hosts: Sequence[str], selection: HostSelection, has_all: bool, as_json: bool) -> None:
    """Read the power state of machines from their BMCs."""
    _check(hosts, selection, has_all)
    settings = load_settings(config)
    read = partial(status_of, hosts=hosts, selection=selection, parallel=settings.bmc.parallel)
    found = asyncio.run(with_daemon(settings.admin.socket, config, read))
    print_table(found, as_json, _COLUMNS, map(row_of, found))
    if any(each["observed"] is None or each["observed"]["fault"] for each in found):
        sys.exit(1)


@power.command()
@_hosts
@selection_options
@_wait
@config_and_json
def on(config: Path, hosts: Sequence[str], selection: HostSelection, wait: bool, as_json: bool) -> None:
    """Switch machines on. One that is on stays as it is."""
    _act(config, PowerRequest(hosts, PowerAction.ON, selection=selection), wait=wait, as_json=as_json)


@power.command()
@_breaking_options
def off(config: Path, hosts: Sequence[str], selection: HostSelection, force: bool, wait: bool, as_json: bool) -> None:
    """Switch machines off at once: their operating systems are not shut down."""
    wanted = PowerRequest(hosts, PowerAction.OFF, is_forced=force, selection=selection)
    _act(config, wanted, wait=wait, as_json=as_json)


@power.command()
@_breaking_options
def cycle(config: Path, hosts: Sequence[str], selection: HostSelection, force: bool, wait: bool, as_json: bool) -> None:
    """Restart machines at once, or switch them on: their operating systems are not shut down."""
    wanted = PowerRequest(hosts, PowerAction.CYCLE, is_forced=force, selection=selection)
    _act(config, wanted, wait=wait, as_json=as_json)


@power.command()
@click.option("--http", "boot", flag_value=NetworkBoot.HTTP.value, help="By UEFI HTTP boot instead of PXE.")
@click.option("--http-uri", "boot", flag_value=NetworkBoot.HTTP_URI.value, help="The same, its URL in the firmware.")
@_breaking_options
def pxe(
    config: Path,
    hosts: Sequence[str],
    selection: HostSelection,
    boot: str | None,
    force: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Let machines boot from the network once, and restart them at once, or switch them on.

    Without --http as bmc.network_boot of the host has it, else by PXE. A host that is armed is installed; any other is
    led to its own disk.
    """
    network_boot = NetworkBoot(boot) if boot is not None else None
    wanted = PowerRequest(hosts, PowerAction.PXE, network_boot, is_forced=force, selection=selection)
    _act(config, wanted, wait=wait, as_json=as_json)


def _check(hosts: Sequence[str], selection: HostSelection, has_all: bool) -> None:
    if has_all and (hosts or not selection.is_all):
        raise click.UsageError("--all needs no HOST, no --role and no --label")
    if not has_all:
        check_selection(hosts, selection)


async def status_of(
    client: "ControlClient", *, hosts: Sequence[str] = (), selection: HostSelection = EVERY_HOST, parallel: int
) -> Sequence[Mapping[str, Any]]:
    """Read named hosts, or those of a selection that have a BMC; as many at once as the daemon does.

    The daemon limits each reading from its request: of a whole rack at once, most would wait until their end.
    """
    names = [*dict.fromkeys(hosts)] or [each["name"] for each in await client.hosts(selection)]
    slots = asyncio.Semaphore(parallel)

    async def read(name: str) -> Mapping[str, Any]:
        async with slots:
            return await client.power.read(name)

    found = await asyncio.gather(*map(read, names))
    return [each for each in found if hosts or each["has_bmc"]]


def _act(config: Path, request: PowerRequest, *, wait: bool, as_json: bool) -> None:
    check_selection(request.hosts, request.selection)
    socket = load_settings(config).admin.socket
    ended = asyncio.run(with_daemon(socket, config, partial(_sent, request=request, wait=wait)))
    print_found(ended, as_json, (printable(line_of(each)) for each in ended))
    if any(each["state"] != IntentState.DONE or each.get("reached") is False for each in ended):
        sys.exit(1)


async def _sent(client: "ControlClient", *, request: PowerRequest, wait: bool) -> Sequence[Mapping[str, Any]]:
    """Request an action, and return how it ended for each host."""
    until_s = time.monotonic() + SENT_S
    requested = await client.power.request(request)
    ended = []
    for each in requested:
        found = each
        while found["state"] in OPEN_STATES and time.monotonic() < until_s:
            found = await client.power.ended(each["id"])
        ended.append(found)
    if not wait:
        return ended
    wanted = PowerState.OFF if request.action is PowerAction.OFF else PowerState.ON
    until_s = time.monotonic() + REACHED_S
    return [{**each, "reached": await _reached(client, each, wanted, until_s)} for each in ended]


async def _reached(client: "ControlClient", intent: Mapping[str, Any], wanted: PowerState, until_s: float) -> bool:
    while intent["state"] == IntentState.DONE:
        observed = (await client.power.read(intent["host"]))["observed"]
        if observed is not None and observed["state"] == wanted:
            return True
        if time.monotonic() > until_s:
            break
        await asyncio.sleep(_PAUSE_S)
    return False


def line_of(intent: Mapping[str, Any]) -> str:
    """Describe how an action ended."""
    host, state, detail = intent["host"], intent["state"], intent["detail"]
    match state:
        case IntentState.DONE:
            text = detail or f"{host}: power {intent['action']} is done"
        case IntentState.REQUESTED | IntentState.SENDING:
            text = f"{host}: power {intent['action']} has not ended; netboot power status {host}"
        case _:
            text = f"{host}: power {intent['action']} is {state}: {detail}"
    late = f"; the machine is not {'off' if intent['action'] == PowerAction.OFF else 'on'} yet"
    return text + (late if state == IntentState.DONE and intent.get("reached") is False else "")


def row_of(found: Mapping[str, Any]) -> Sequence[str]:
    """Return the cells of a host: its power, how far its boot is, its last action, and why it could not be read."""
    observed, last = found["observed"] or {}, next(iter(found["intents"]), None)
    action = (
        f"{last['action']} {last['state']}, by {last['actor']} at {shown_time(last['requested_at'])}" if last else "–"
    )
    state, progress = str(observed.get("state") or "–"), str(observed.get("progress") or "–")
    fault = "" if found["has_bmc"] else f"no BMC is declared; set hosts.{found['host']}.bmc, or press its power button"
    return found["host"], state, progress, action, str(observed.get("fault") or fault)
