"""Words made safe for the four languages that a document is written in: shell, Kickstart, GRUB, iPXE.

A value that no quoting can make safe is refused with UnfitValueError; nothing is ever dropped or replaced.
"""

import re
import shlex
from collections.abc import Callable
from typing import Final

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_IPXE_OPERATORS: Final = frozenset({"||", "&&", ";"})
_LIVE_IN_DOUBLE_QUOTES: Final = frozenset('"\\$`')


class UnfitValueError(Exception):
    """A value that no quoting makes safe; the engine adds document, subject and line."""


def one_line(value: object) -> str:
    """Pass text that stays on its line; refuse control characters and Unicode's line ends."""
    text = str(value)
    if _CONTROL.search(text):
        raise UnfitValueError(f"the value {_shown(text)} has a control character; write it on one line of plain text")
    return text


def shell(value: object) -> str:
    """Quote one word of a POSIX shell."""
    return shlex.quote(one_line(value))


def kickstart(value: object) -> str:
    """Quote one word of a Kickstart command line, which pykickstart splits as a shell would."""
    text = one_line(value)
    if _PLAIN_WORD.fullmatch(text):
        return text
    return shlex.quote(text) if _LIVE_IN_DOUBLE_QUOTES & set(text) else f'"{text}"'


def grub(value: object) -> str:
    """Quote one word of a GRUB script."""
    text = one_line(value)
    return text if _PLAIN_WORD.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def ipxe(value: object) -> str:
    """Pass one word of an iPXE script. iPXE knows no quotes, so what it would read otherwise is refused."""
    text = one_line(value)
    if (
        not text
        or not text.isascii()
        or re.search(r"\s", text)
        or "${" in text
        or text.startswith("#")
        or text.endswith("\\")
        or text in _IPXE_OPERATORS
    ):
        raise UnfitValueError(
            f"iPXE has no quoting to carry the word {_shown(text)}; choose plain ASCII without blanks"
        )
    return text


def ipxe_text(value: object) -> str:
    """Pass text that iPXE shows on the screen: each of its words as `ipxe` does."""
    return " ".join(ipxe(word) for word in one_line(value).split())


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


FILTERS: Final[dict[str, Callable[[object], str]]] = {
    "grub": grub,
    "ipxe": ipxe,
    "ipxe_text": ipxe_text,
    "kickstart": kickstart,
    "shell": shell,
}
