"""proxyDHCP on ports 67 and 4011, and leases in `reservation` mode."""
