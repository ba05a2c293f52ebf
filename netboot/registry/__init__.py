"""The hosts files: every fault of every file at once, each with its place and its cure."""
