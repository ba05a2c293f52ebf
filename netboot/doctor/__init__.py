"""Checks of this appliance: interfaces, addresses, ports, file access, and faults that concern several hosts."""
