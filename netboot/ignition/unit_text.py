"""Reads a systemd unit as Ignition does (coreos/go-systemd v22, `unit/deserialize.go`), to find what it refuses.

go-systemd refuses a line of 2,048 bytes only where its 4,096-byte buffer holds that many at once; `_Reader` fills
its buffer as Go's bufio does, to accept the same units.
"""

from typing import Final

LINE_LIMIT_BYTES: Final = 2048
_BUFFER_BYTES: Final = 4096


class _UnitError(Exception):
    """A problem of the unit."""


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._end = 0  # of the buffer's content

    def next_byte(self) -> int | None:
        if self._at >= self._end:
            self._fill()
        if self._at >= self._end:
            return None
        self._at += 1
        return self._text[self._at - 1]

    def unread(self) -> None:
        self._at -= 1

    def until(self, delimiter: bytes) -> tuple[bytes, bool]:
        """Return the bytes before `delimiter` and skip it; False if the text ends first."""
        begin = self._at
        while True:
            found = self._text.find(delimiter, self._at, self._end)
            if found >= 0:
                self._at = found + 1
                return self._text[begin:found], True
            if self._end == len(self._text):
                self._at = self._end
                return self._text[begin:], False
            if self._end - self._at == _BUFFER_BYTES:
                self._at = self._end
            self._fill()

    def refuse_long_line(self) -> None:
        held = self._text[self._at : self._at + LINE_LIMIT_BYTES]
        if self._end - self._at >= LINE_LIMIT_BYTES and b"\n" not in held and b"\r" not in held:
            raise _UnitError(f"has a line of {LINE_LIMIT_BYTES} bytes or more")

    def _fill(self) -> None:
        self._end = min(len(self._text), self._at + _BUFFER_BYTES)


def unit_fault(text: str) -> str | None:
    """Return why Ignition refuses a unit or drop-in, as the end of a sentence; None if it accepts it."""
    try:
        _read(_Reader(text.encode("utf-8", "surrogatepass")))
    except _UnitError as fault:
        return str(fault)
    return None


def _read(reader: _Reader) -> None:
    has_section = False
    while True:
        reader.refuse_long_line()
        first = reader.next_byte()
        if first is None:
            return
        if first == ord("["):
            _section(reader)
            has_section = True
        elif first in b"#;":
            _comment(reader)
        elif has_section and not bytes([first]).isspace():
            reader.unread()
            reader.refuse_long_line()
            _option(reader)


def _section(reader: _Reader) -> None:
    reader.refuse_long_line()
    _name, is_closed = reader.until(b"]")
    if not is_closed:
        raise _UnitError("has a section without ]")
    reader.refuse_long_line()
    rest, _ = reader.until(b"\n")
    if rest.strip():
        raise _UnitError("has text behind a section's ]")


def _comment(reader: _Reader) -> None:
    reader.refuse_long_line()
    while True:
        line, is_ended = reader.until(b"\n")
        if not is_ended or not line.removesuffix(b" ").endswith(b"\\"):
            return


def _option(reader: _Reader) -> None:
    while (byte := reader.next_byte()) != ord("="):
        if byte is None or byte in b"\r\n":
            raise _UnitError("has a line in a section that is not KEY=VALUE")
    while True:
        reader.refuse_long_line()
        line, is_ended = reader.until(b"\n")
        if not is_ended or not line.strip() or not line.endswith(b"\\"):
            return
