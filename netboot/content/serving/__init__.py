"""The index of served files, and their bytes."""
