"""Checks of what machines are sent: boot loaders and their signatures, boot media, releases, Ignition files."""
