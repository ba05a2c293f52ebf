"""Checks of this appliance, its content, its configuration and the LAN: what would stop a boot, and the cure."""
