"""The power actions of the running daemon."""
