"""The files that machines fetch: found, indexed, imported, verified."""
