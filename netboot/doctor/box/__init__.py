"""Checks of this computer: ports, firewall, rights, clock, disks, kernel and networks."""
