"""DHCP (RFC 2131) and PXE messages: parsing, clients, replies."""
