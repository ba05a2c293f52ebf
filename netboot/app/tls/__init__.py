"""Listeners with TLS: connections, and the certificate that they get."""
