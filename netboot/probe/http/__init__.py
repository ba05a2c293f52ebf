"""HTTP/1.1 as firmware, loaders and installers use it.

Written on asyncio streams: the order and case of header fields, and when a connection is closed, are what is judged.
"""
