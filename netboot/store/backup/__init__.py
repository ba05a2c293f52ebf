"""Backups of the store: one file for both databases, and how it is made, verified and restored."""
