"""The connection of the store to its database."""
