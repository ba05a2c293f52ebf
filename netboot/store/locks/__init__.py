"""Locks by which one daemon or one writer has the store."""
