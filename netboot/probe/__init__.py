"""The client side of the machine protocols: firmware, boot loaders and installers, played against a live server.

scapy reads and writes DHCP, tftpy reads files by TFTP: other implementations than those of the serving path, which
never imports this package. Both are imported where they are used, because scapy takes a second.
"""
