"""Checks of this box: interfaces, addresses, ports, rights, and what no single host shows to be wrong."""
