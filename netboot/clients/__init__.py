"""The requests of the client of a running daemon, by subject."""
