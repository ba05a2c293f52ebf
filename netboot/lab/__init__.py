"""A LAN of real firmware in QEMU: namespaces, a bridge, a plain DHCP server, guests, and media that stand in for Oracle's."""
