"""Sockets and interfaces of this appliance: UDP, raw packets, ARP, rtnetlink."""
