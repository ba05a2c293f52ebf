"""Syslog: messages (RFC 3164, RFC 5424, entries of systemd's journal), and their framing in TCP (RFC 6587)."""
