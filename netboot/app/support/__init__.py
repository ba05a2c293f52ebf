"""What a support archive has of this appliance: gathered from the daemon, or from files and store without one."""
