"""`netboot doctor --listen`: prints what the appliance would do for every machine that is heard; sends nothing."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from netboot.admin.json_views import json_view
from netboot.app import from_settings
from netboot.app.recorded_addresses import read_files
from netboot.cli.commands.appliance.configuration_checks import default_configuration
from netboot.cli.views.output import counted, json_text
from netboot.client import ControlClient
from netboot.control_socket import is_answered
from netboot.doctor.lan.lan_inputs import read_lan_inputs
from netboot.doctor.listening.judged_request import HostStates, RequestJudge
from netboot.doctor.listening.listen import Heard, HeardMachine, Listening, ListeningInputs
from netboot.errors import NetbootError
from netboot.model.boot.other_server import Here
from netboot.model.clock import utc_now
from netboot.model.install.inspection import OneTimeBoot, RequestedBoot
from netboot.model.words import printable
from netboot.registry.load import Configuration


def run_listening(config: Path, interfaces: Sequence[str], seconds: float | None, *, as_json: bool) -> None:
    """Listen until Ctrl-C, or for some seconds; raise ConfigError, and PortError without the right to."""
    asyncio.run(_listen(config, interfaces, seconds, as_json=as_json))


async def _listen(config: Path, interfaces: Sequence[str], seconds: float | None, *, as_json: bool) -> None:
    configuration = await _configuration(config, interfaces)
    settings = configuration.settings
    for fault in configuration.faults:
        click.echo(f"{fault} (the host is left out)", err=True)
    lan = await read_lan_inputs(settings, interfaces, seconds=1, sends=False, daemon_runs=False)
    if not lan.interfaces:
        raise click.UsageError("network.interfaces names no interface; name one, or give --interface NAME")
    ours = lan.addresses.union(*(link.addresses for link in lan.links.values()))
    registry, _ = from_settings.registry_for(settings, configuration)
    given = ListeningInputs(
        interfaces=lan.interfaces,
        judge=RequestJudge(registry, settings.dhcp.mode, ours),
        here=Here(ours, lan.leases),
        read_states=partial(_states, settings.admin.socket, config),
    )
    began = f"listening on {', '.join(lan.interfaces)}; nothing is sent; Ctrl-C ends it"
    listening = Listening(given, partial(_report, as_json=as_json), partial(click.echo, began, err=True))
    await _until_signal(listening.run(seconds))
    _print_end(listening.changes.left_out, as_json=as_json)


async def _configuration(config: Path, interfaces: Sequence[str]) -> Configuration:
    """Read the files; before the first install, without any, the defaults are used for a named interface."""
    if interfaces and not await asyncio.to_thread(config.exists):
        return default_configuration(interfaces)
    return (await read_files(config)).configuration()


async def _until_signal(work: Any) -> None:
    """Run until it ends or a signal ends it, which is no fault."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _states(socket: Path, config: Path) -> HostStates:
    """Read from the running daemon which hosts are armed and what they boot once; nothing is known without one."""
    if not await asyncio.to_thread(is_answered, socket):
        return HostStates()
    try:
        async with ControlClient(socket, configuration=config) as daemon:
            installs = await daemon.installs()
    except NetbootError:
        return HostStates()
    armed = frozenset(each["host"] for each in installs if each["armed"])
    once = {each["host"]: _requested(each["next_boot"]) for each in installs if each.get("next_boot")}
    return HostStates(armed, once, is_known=True)


def _requested(view: Mapping[str, Any]) -> RequestedBoot:
    return RequestedBoot(OneTimeBoot(view["kind"]), utc_now(), view["medium"])


def _report(heard: Heard, *, as_json: bool) -> None:
    """Print one line. Its reader may be gone: that ends the listening."""
    try:
        click.echo(json_text(_view(heard)) if as_json else printable(_line(heard)))
    except BrokenPipeError:
        signal.raise_signal(signal.SIGTERM)


def _view(heard: Heard) -> dict[str, Any]:
    if isinstance(heard, HeardMachine):
        about = {"kind": "machine", "at": heard.at.isoformat(), "interface": heard.interface, "port": heard.port}
        return {**about, **asdict(heard.request)}
    return {"kind": "server", "at": heard.at.isoformat(), "server": json_view(heard.server)}


def _line(heard: Heard) -> str:
    at = heard.at.astimezone().strftime("%H:%M:%S")
    if isinstance(heard, HeardMachine):
        request = heard.request
        who = " ".join(filter(None, [str(request.mac or "unknown"), f"({request.host})" if request.host else ""]))
        what = f" {request.firmware} {request.stage}" if request.firmware else ""
        through = f" through relay {request.relay}" if request.relay else ""
        return f"{at} {heard.interface} {who}{what}{through}: {request.result_text}: {request.why}"
    cure = f"; {heard.server.cure}" if heard.server.cure else ""
    return f"{at} {heard.server.interface} {heard.server.sentence}{cure}"


def _print_end(left_out: int, *, as_json: bool) -> None:
    """State what was not shown."""
    if as_json:
        click.echo(json_text({"kind": "end", "left_out": left_out}))
    elif left_out:
        click.echo(f"not shown: {counted(left_out, 'further change')}", err=True)
