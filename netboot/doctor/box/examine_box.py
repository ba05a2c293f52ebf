"""Examines this computer: what would keep its daemon from answering machines."""

from netboot.doctor.box import CHECKS
from netboot.doctor.configuration.listening_checks import check_box, links_here
from netboot.doctor.doctor_finding import Area, AreaReport
from netboot.settings.settings import Settings


async def examine_box(settings: Settings, *, daemon_runs: bool) -> AreaReport:
    """Check interfaces, addresses and ports of the settings on this computer."""
    links = await links_here()
    listening = check_box(settings, links, daemon_runs=daemon_runs)
    return AreaReport(Area.BOX, tuple(listening.findings("box.listening")), CHECKS)
