"""Reads `netboot.yaml` and the hosts files: every fault of every file at once, each with its place and its cure.

Only `app` and `cli` may import this room. `load.load` is its door; what it hands out never changes afterwards.
"""
