"""Commands about installed nodes."""
