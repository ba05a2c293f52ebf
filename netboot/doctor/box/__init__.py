"""Checks of this computer: ports, firewall, rights, clock, disks, kernel and networks."""

from typing import Final

CHECKS: Final = ("box.listening",)
