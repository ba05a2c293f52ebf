"""A machine's side of DHCP, TFTP and HTTP, by other people's code."""
