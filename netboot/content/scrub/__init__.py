"""The background verification of served content: its reader, its units, and repairs from other content."""
