"""Checks of the boot LAN: other servers, relays, duplicate addresses, and what the switch does with a machine's port.

`examine_lan` listens on each boot interface for a few seconds and sends a few packets, which docs/doctor.md lists.
scapy writes and reads them: it shares no code with the serving path.
"""
