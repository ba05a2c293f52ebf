"""Reads the head of a response by the rules of one client. Pure; RFC 9112."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from netboot.model.words import printable_line
from netboot.probe.http.agents import HttpAgent

LARGEST_HEAD_BYTES: Final = 16 << 10
_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([0-9]{3})(?: .*)?")
_LITERAL_STATUS_LINE: Final = re.compile(r"HTTP/1\.1 ([0-9]+)")


class MalformedHeadError(ValueError):
    """The client cannot read the head; the text is the reason."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """`headers` by their names in lower case, the last of each; `lines` as they came."""

    status: int
    headers: Mapping[str, str]
    lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def length(self) -> int | None:
        """Return the value of Content-Length, None without one."""
        value = self.headers.get("content-length", "")
        return int(value) if re.fullmatch("[0-9]{1,18}", value) else None

    @property
    def is_chunked(self) -> bool:
        """True if the body comes in chunks."""
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def closes(self) -> bool:
        """True if the server closes the connection after this response."""
        return self.headers.get("connection", "").lower() == "close" or self.lines[0].startswith("HTTP/1.0")


def parse_head(head: bytes, agent: HttpAgent) -> ResponseHead:
    """Parse a head that ends with an empty line. Raise MalformedHeadError where this client cannot read it."""
    text = head.decode("latin-1")
    if agent.has_literal_parser and re.search(r"(?<!\r)\n", text):
        raise MalformedHeadError("invalid HTTP header - LF without CR")
    lines = tuple(text.replace("\r\n", "\n").rstrip("\n").split("\n"))
    found = (_LITERAL_STATUS_LINE if agent.has_literal_parser else _STATUS_LINE).match(lines[0])
    if found is None:
        raise MalformedHeadError(f"unsupported HTTP response {printable_line(lines[0])!r}")
    headers = {}
    for line in lines[1:]:
        name, separator, value = line.partition(":")
        if not separator or not name or name != name.strip():
            raise MalformedHeadError(f"the header field {printable_line(line)!r} has no name")
        if agent.has_literal_parser and not _is_read_literally(line):
            continue
        headers[name.lower()] = value.strip(" \t")
    return ResponseHead(int(found[1]), headers, lines)


def _is_read_literally(line: str) -> bool:
    """GRUB compares the bytes `Content-Length: ` and `Transfer-Encoding: chunked`; other fields are not framing."""
    name = line.partition(":")[0]
    literal = {"content-length": "Content-Length: ", "transfer-encoding": "Transfer-Encoding: chunked"}
    return name.lower() not in literal or line.startswith(literal[name.lower()])
