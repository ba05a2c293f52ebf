"""A LAN of real firmware in QEMU: namespaces, a bridge, a plain DHCP server, guests, and replacement media."""
