"""Address leases for registered hosts. Never sees a packet."""
