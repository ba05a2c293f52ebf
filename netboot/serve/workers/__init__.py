"""Processes that serve content beside the daemon."""
