"""The commands on the store itself."""
