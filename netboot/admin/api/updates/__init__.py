"""The routes of updates of nodes."""
