"""The packets of a LAN below the sockets of the kernel: received, sent, and read by scapy."""
