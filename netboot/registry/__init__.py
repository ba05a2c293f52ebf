"""The hosts files: every fault of every file at once, each with its place and its cure.

Only `app`, `doctor` and `cli` may import it. The result of `load.load` is immutable.
"""
