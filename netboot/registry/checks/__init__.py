"""Checks of the values of hosts against each other."""
