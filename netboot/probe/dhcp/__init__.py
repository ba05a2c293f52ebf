"""DHCP as a firmware does it: DISCOVER, its choice among the offers, REQUEST, and the request on port 4011."""
