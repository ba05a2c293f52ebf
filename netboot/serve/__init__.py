"""The machine protocols: DHCP, TFTP and HTTP on the boot LAN."""
