"""Imports and their verification: ISO images, OSTree archives, OCI images."""
