"""Checks of the configuration against this appliance: what `netboot check` prints, before the daemon starts."""
