"""Judges one host from its entry to its Ignition. Sends requests for static files only: no token is ever requested."""
