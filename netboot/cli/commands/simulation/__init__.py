"""The command that plays a machine against a live server."""
