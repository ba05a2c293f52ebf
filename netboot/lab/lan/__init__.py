"""The lab's network: namespaces, a bridge, a DHCP server."""
