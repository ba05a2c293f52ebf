"""`netboot power` and `netboot bmc`."""
