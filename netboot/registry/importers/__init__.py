"""Reads the inventories of neighbouring systems and returns what a hosts file can have of them. Opens no file."""
