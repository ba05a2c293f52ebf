"""Examines the content for `netboot doctor`: reads what machines were seen from the daemon of this computer."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from netboot.cli.commands.appliance.configuration_checks import CheckedConfiguration
from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.cli.views.content_progress import shown_progress
from netboot.client import ControlClient, View
from netboot.control_socket import RefusedError
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.content.examine_content import examine_content
from netboot.doctor.content.known_machines import KnownMachine, machines_of, unregistered_machine
from netboot.doctor.doctor_finding import AreaReport
from netboot.errors import NetbootError, UnknownHostError
from netboot.model.clock import utc_now
from netboot.model.host.host import Host, HostSet

_REQUESTS_AT_ONCE: Final = 8


async def content_report(
    config: Path, checked: CheckedConfiguration, *, verifies: bool, shows_progress: bool
) -> AreaReport:
    """Examine the content of a configuration; `verifies` reads every byte of media and releases."""
    facts = await content_facts(config, checked)
    with shown_progress(as_json=not (verifies and shows_progress)) as progress:
        return await examine_content(facts, verifies=verifies, progress=progress)


async def content_facts(config: Path, checked: CheckedConfiguration) -> ContentFacts:
    """Gather what the checks of the content get. Without a running daemon, no machine is known."""
    settings = checked.configuration.settings
    machines: Sequence[KnownMachine] | None = None
    unknown = {"machines_unknown": checked.daemon.error} if checked.daemon.error is not None else {}
    if checked.daemon.status is not None:
        try:
            machines = await ask_daemon(
                settings.admin.socket, config, lambda daemon: _machines(daemon, checked.configuration.hosts)
            )
        except NetbootError as error:
            unknown = {"machines_unknown": str(error)}
    return ContentFacts(
        checked.registry,
        settings.content.directory,
        utc_now(),
        machines,
        makes_deltas=settings.content.deltas,
        receives_logs=settings.logs.port != 0,
        **unknown,
    )


async def _machines(daemon: ControlClient, hosts: HostSet) -> list[KnownMachine]:
    requests = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def of_host(host: Host) -> Iterator[KnownMachine]:
        async with requests:
            view = await host_view(daemon, host.name)
        return iter(()) if view is None else machines_of(host, view)

    registered = await asyncio.gather(*map(of_host, hosts))
    unregistered = map(unregistered_machine, await daemon.machines())
    return [*(machine for found in registered for machine in found), *unregistered]


async def host_view(daemon: ControlClient, name: str) -> View | None:
    """Request a host as the API shows it; None if the daemon has not read its file yet."""
    try:
        return await daemon.host(name)
    except RefusedError as error:
        if error.view.get("code") != UnknownHostError.code:
            raise
        return None
