"""The table of boots, and the columns of a boot."""
