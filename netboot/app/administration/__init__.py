"""The administration of the running daemon: its parts, and the listeners that serve them."""
