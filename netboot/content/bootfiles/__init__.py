"""Boot files: what their directories contain, and small files in memory."""
