"""Derives what is examined of the LAN from the settings and from this computer."""

from collections.abc import Sequence
from typing import Final

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
        port_67_holder=None if daemon_runs and _daemon_has_port(settings) else _holder(),
        seconds=seconds,
        sends=sends,
    )


def _daemon_has_port(settings: Settings) -> bool:
    return settings.dhcp.mode is not DhcpMode.OFF and settings.dhcp.listen is DhcpListen.UDP


def _holder() -> str | None:
    return ", ".join(sorted({program for _, program in holders("udp", _PORT)})) or None
