"""The fuse box: builds every room from the settings and runs it. The only floor, beside the commands, that sees them.

Decides nothing itself.
"""
