"""Address leases for registered hosts and, from the pool, for other machines. Handles no packets."""
