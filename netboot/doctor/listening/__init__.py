"""Listens on the boot LAN and states what this appliance would do for each machine. Sends nothing.

The decision is that of the daemon (`boot.decide`), from the same registry. Works beside a running daemon, and before
the first install.
"""
