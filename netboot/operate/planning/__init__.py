"""What a host would get at its next boot, why, and how that differs from what it was served last."""
