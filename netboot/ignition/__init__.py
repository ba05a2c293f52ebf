"""Reads and verifies Ignition files without the network: JSON, schema, resources, paths. Pure; never shows a secret."""
