"""Boot loader directories: what is there, and small files in memory."""
