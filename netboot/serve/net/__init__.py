"""Sockets and interfaces of this box: UDP, raw packets, ARP, rtnetlink."""
