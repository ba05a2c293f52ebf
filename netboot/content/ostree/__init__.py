"""OSTree archives: objects, summaries, static deltas, verification."""
