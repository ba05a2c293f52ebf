"""A connection after its last answer, whose client may still send.

What it sends is read and dropped: the reset that answers unread bytes would destroy the answer (RFC 9112 §9.6).
"""

import asyncio
from typing import Final

LINGER_S: Final = 1.0


class Lingering(asyncio.Protocol):
    """Closes when its client closes, or soon."""

    def __init__(self, transport: asyncio.Transport) -> None:
        transport.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, transport.abort)
