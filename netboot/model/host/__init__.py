"""What a hosts file declares: hosts, MAC addresses, networks, the cluster."""
