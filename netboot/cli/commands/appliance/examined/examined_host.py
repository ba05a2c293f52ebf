"""Examines one host for `netboot doctor --host NAME`."""

from ipaddress import IPv4Address
from pathlib import Path

from netboot.app import from_settings
from netboot.cli.commands.appliance.configuration_checks import CheckedConfiguration
from netboot.cli.commands.appliance.examined.examined_content import content_facts, host_view
from netboot.cli.commands.daemon_or_store import ask_daemon
from netboot.client import View
from netboot.doctor.configuration.listening_checks import links_here
from netboot.doctor.content.content_facts import ContentFacts
from netboot.doctor.doctor_finding import AreaReport
from netboot.doctor.host.examine_host import examine_host
from netboot.doctor.host.host_facts import HostFacts
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.serve.net.local_addresses import read_local_addresses


async def host_report(config: Path, checked: CheckedConfiguration, name: str) -> AreaReport:
    """Judge one host, from its entry to its Ignition."""
    return await examine_host(await _host_facts(config, checked, name))


async def _host_facts(config: Path, checked: CheckedConfiguration, name: str) -> HostFacts:
    configuration, settings = checked.configuration, checked.configuration.settings
    host = configuration.hosts.get(name)
    content = await content_facts(config, checked)
    base_url = from_settings.planned_urls(settings, await links_here())[0]
    return HostFacts(
        name,
        host,
        content,
        base_url,
        faults=[each for each in configuration.faults if f"{each.where}.".startswith(f"hosts.{name}.")],
        reasons=await _reasons(checked, host, content) if host is not None else (),
        known_hosts=[each.name for each in configuration.hosts],
        view=await _view(config, checked, name),
        daemon_runs=checked.daemon.status is not None,
        tftp_port=settings.tftp.port,
        is_appliance=await _is_here(urls.address_of(base_url)),
    )


async def _reasons(checked: CheckedConfiguration, host: Host, content: ContentFacts) -> list[str]:
    stored = [each.machine for each in content.known_machines if each.machine is not None and each.mac in host.macs]
    readiness = from_settings.readiness_for(checked.configuration.settings, checked.registry)
    return await readiness.reasons(host, machines=stored)


async def _view(config: Path, checked: CheckedConfiguration, name: str) -> View | None:
    if checked.daemon.status is None:
        return None
    socket = checked.configuration.settings.admin.socket
    return await ask_daemon(socket, config, lambda daemon: host_view(daemon, name))


async def _is_here(address: str) -> bool:
    """Return whether this computer has the address that machines are sent to."""
    here = await read_local_addresses()
    return any(IPv4Address(address) in found for found in here.values()) if address[0].isdigit() else True
