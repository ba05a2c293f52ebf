"""Derives what is examined of the LAN from the settings and from this computer."""

from collections.abc import Sequence
from typing import Final

from netboot.doctor.daemon_process import process_of_daemon
from netboot.doctor.lan.examine_lan import LanInputs
from netboot.doctor.lan.lan_links import read_examined_links
from netboot.model.host.network import DhcpListen, DhcpMode
from netboot.serve.net.port_holders import holders
from netboot.settings.settings import Settings

_PORT: Final = 67


async def read_lan_inputs(
    settings: Settings, interfaces: Sequence[str], *, seconds: float, sends: bool, daemon_runs: bool
) -> LanInputs:
    """Return the inputs of `examine_lan`; `interfaces` instead of those of the settings, if there are any."""
    boot_interfaces = settings.network.interfaces
    return LanInputs(
        interfaces=tuple(dict.fromkeys(interfaces or [each.name for each in boot_interfaces])),
        links=await read_examined_links(),
        addresses=frozenset(each.advertise for each in boot_interfaces if each.advertise is not None),
        leases=settings.dhcp.mode is DhcpMode.RESERVATION,
        port_67_holder=_other_holder(settings, daemon_runs=daemon_runs),
        seconds=seconds,
        sends=sends,
    )


def _other_holder(settings: Settings, *, daemon_runs: bool) -> str | None:
    """Name the programs beside the daemon that hold port 67, as a DHCP server that shares it; None if none is known."""
    programs = {program for _, program in holders("udp", _PORT)}
    if daemon_runs and _daemon_has_port(settings):
        process = process_of_daemon(settings)
        if process is None:
            return None
        programs = {program for program in programs if not program.endswith(f"(process {process})")}
    return ", ".join(sorted(programs)) or None


def _daemon_has_port(settings: Settings) -> bool:
    return settings.dhcp.mode is not DhcpMode.OFF and settings.dhcp.listen is DhcpListen.UDP
