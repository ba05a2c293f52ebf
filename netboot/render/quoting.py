"""Quotes values for shell, Kickstart, GRUB, iPXE, TOML; one that cannot be quoted safely is an UnfitValueError."""

import re
import shlex
from collections.abc import Callable
from typing import Final

from netboot.yamlfile.faults import shown

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_IPXE_WORD: Final = re.compile(r"(?!#)[!-~]+(?<!\\)")  # `#` begins a comment, `\` at the end continues a line
_IPXE_OPERATORS: Final = frozenset({"||", "&&", ";"})
_LIVE_IN_DOUBLE_QUOTES: Final = frozenset('"\\$`')


class UnfitValueError(Exception):
    """A value that cannot be quoted safely; the engine adds document, subject and line."""


def one_line(value: object) -> str:
    """Return text of one line; refuse control characters and Unicode's line ends."""
    text = str(value)
    if _CONTROL.search(text):
        raise UnfitValueError(f"the value {shown(text)} has a control character; write it on one line of plain text")
    return text


def shell(value: object) -> str:
    """Quote one word of a POSIX shell."""
    return shlex.quote(one_line(value))


def kickstart(value: object) -> str:
    """Quote one word of a Kickstart command line, which pykickstart splits as a shell does."""
    text = one_line(value)
    if _PLAIN_WORD.fullmatch(text):
        return text
    return shlex.quote(text) if _LIVE_IN_DOUBLE_QUOTES & set(text) else f'"{text}"'


def grub(value: object) -> str:
    """Quote one word of a GRUB script."""
    text = one_line(value)
    return text if _PLAIN_WORD.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def toml(value: object) -> str:
    """Write a basic string of TOML 1.0."""
    return '"' + one_line(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def ipxe(value: object) -> str:
    """Return one word of an iPXE script. iPXE has no quotes, so a value with special characters is refused."""
    text = one_line(value)
    if not _IPXE_WORD.fullmatch(text) or "${" in text or text in _IPXE_OPERATORS:
        raise UnfitValueError(f"iPXE has no quoting to carry the word {shown(text)}; choose plain ASCII without blanks")
    return text


def ipxe_text(value: object) -> str:
    """Return text that iPXE shows on the screen; each word as for `ipxe`."""
    return " ".join(ipxe(word) for word in one_line(value).split())


def ipxe_shown(value: object) -> str:
    """Return text of a machine that iPXE shows on the screen, in any lines; what iPXE interprets in it becomes `?`."""
    plain = one_line(value).encode("ascii", "replace").decode().replace(";", ",")
    return " ".join(re.sub(r"[^\w .,:/()=@%+*<>'\"-]", "?", plain).split())


FILTERS: Final[dict[str, Callable[[object], str]]] = {
    "grub": grub,
    "ipxe": ipxe,
    "ipxe_shown": ipxe_shown,
    "ipxe_text": ipxe_text,
    "kickstart": kickstart,
    "shell": shell,
    "toml": toml,
}
