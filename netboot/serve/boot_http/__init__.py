"""The boot LAN's HTTP port: scripts, Kickstart, Ignition, reports."""
