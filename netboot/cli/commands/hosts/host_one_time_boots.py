"""`netboot host inspect|rescue`: what a machine boots once, at its next network boot."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netboot.cli.commands.daemon_or_store import CHANGING, run_with_administration
from netboot.cli.views.output import config_and_json, print_found

if TYPE_CHECKING:
    from netboot.client import ControlClient
    from netboot.operate.administration import Administration


@click.command()
@click.argument("machine", metavar="HOST|MAC")
@config_and_json
def inspect(config: Path, machine: str, as_json: bool) -> None:
    """Let a host, or the unregistered machine with a MAC, report its hardware at its next network boot.

    It boots the medium hosts.inspect_media, or its own boot medium; no disk is written. An armed host is refused.
    """
    found = run_with_administration(config, lambda daemon: daemon.one_time_boots.inspect(machine), work=CHANGING)
    name = found["machine"]
    is_host = name not in found["macs"]
    shows = f"netboot host show {name}" if is_host else "netboot host list --discovered --json"
    print_found(
        found, as_json, [f"{name} is inspected at its next network boot with {found['medium']}; afterwards: {shows}"]
    )


@click.command()
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
@click.option("--medium", metavar="NAME", help="The boot medium; default: the host's own, then hosts.inspect_media.")
@click.option("--cancel", is_flag=True, help="End the request instead.")
@config_and_json
def rescue(config: Path, hosts: tuple[str, ...], medium: str | None, cancel: bool, as_json: bool) -> None:
    """Let each HOST boot Anaconda's rescue mode once, at its next network boot. It is not armed; no disk is written.

    Of several hosts all are requested or none. The request remains until the host boots. A host that is armed or being
    installed is refused, and so is an arming while a rescue is requested.
    """
    if cancel and medium is not None:
        raise click.UsageError("--cancel needs no --medium")

    async def requested(daemon: "Administration | ControlClient") -> Any:
        if cancel:
            return await daemon.one_time_boots.cancel_rescue(hosts)
        from netboot.operate.one_time_boots import RescueRequest  # slow to load

        return await daemon.one_time_boots.rescue(RescueRequest(hosts, medium))

    found = run_with_administration(config, requested, work=CHANGING)
    lines = [
        each["note"]
        if cancel
        else f"{each['machine']} boots the rescue mode of {each['medium']} at its next network boot"
        for each in found
    ]
    print_found(found, as_json, lines)
