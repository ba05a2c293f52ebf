"""The change of the key of a store."""
