"""Splits a TCP stream into syslog messages (RFC 6587): by their lengths (§3.4.1), or at line feeds (§3.4.2). Pure.

A stream may have both: a message begins with its length, a blank and `<`, or it ends with a line feed or a zero byte.
Of a message beyond `LONGEST_MESSAGE_BYTES` the beginning is kept. Holds no more than that and one chunk.
"""

import re
from typing import Final

from netboot.wire.syslog.syslog_message import LONGEST_MESSAGE_BYTES

_LENGTH: Final = re.compile(rb"([1-9][0-9]{0,6}) <")
_MAY_BE_LENGTH: Final = re.compile(rb"[1-9][0-9]{0,6} ?")
_END: Final = re.compile(rb"[\n\0]+")  # with the empty messages after it


class MessageStream:
    """The messages of one connection, as their bytes come."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._left_bytes = 0  # of a message that began with its length
        self._to_skip_bytes = 0  # of its rest, beyond the longest
        self._skips_line = False  # the rest of a line, beyond the longest

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the messages that they complete, without empty ones."""
        self._held += data
        messages = []
        while (message := self._next()) is not None:
            if message:
                messages.append(message)
        return messages

    def end(self) -> list[bytes]:
        """Return the message that the end of the stream completes, if there is one."""
        rest, self._held = bytes(self._held[:LONGEST_MESSAGE_BYTES]), bytearray()
        return [rest] if rest and not (self._skips_line or self._to_skip_bytes) else []

    def _next(self) -> bytes | None:
        """Return the next message, empty if there is none to keep; None if more bytes are needed."""
        if self._to_skip_bytes:
            skipped = min(self._to_skip_bytes, len(self._held))
            del self._held[:skipped]
            self._to_skip_bytes -= skipped
        if not self._held:
            return None
        if self._left_bytes:
            return self._rest_of_counted()
        if not self._skips_line:
            if length := _LENGTH.match(self._held):
                self._left_bytes = int(length[1])
                del self._held[: length.end() - 1]
                return self._rest_of_counted()
            if _MAY_BE_LENGTH.fullmatch(self._held):
                return None
        return self._rest_of_line()

    def _rest_of_counted(self) -> bytes | None:
        kept = min(self._left_bytes, LONGEST_MESSAGE_BYTES)
        if len(self._held) < kept:
            return None
        message = self._take(kept)
        self._to_skip_bytes, self._left_bytes = self._left_bytes - kept, 0
        return message

    def _rest_of_line(self) -> bytes | None:
        end = _END.search(self._held)
        if end is None:
            if len(self._held) <= LONGEST_MESSAGE_BYTES:
                return None
            was_kept, self._skips_line = self._skips_line, True
            message = b"" if was_kept else bytes(self._held[:LONGEST_MESSAGE_BYTES])
            self._held.clear()
            return message
        was_kept, self._skips_line = self._skips_line, False
        line = self._take(end.end())[: min(end.start(), LONGEST_MESSAGE_BYTES)]
        return b"" if was_kept else line

    def _take(self, length: int) -> bytes:
        taken = bytes(self._held[:length])
        del self._held[:length]
        return taken
