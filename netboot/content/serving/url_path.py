"""A URL's path, as a client wrote it, into the names of a file below a directory. Pure.

Never resolves a dot segment and never guesses: what is not plainly a name below the root is nothing.
RFC 3986 §2.1 (percent-encoding), §3.3 (path).
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

LONGEST_PATH: Final = 2048
_LONGEST_PLAIN: Final = 512
_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.+~-]*+)++")  # what a pull asks for ten thousand times
VISIBLE_DOT_FILES: Final = frozenset({".treeinfo"})  # Anaconda asks for it; every other hidden file stays hidden


def segments(url_path: str) -> tuple[str, ...] | None:
    """Split a raw path (`/content/ol8/vmlinuz`, query allowed) into decoded names; None where it may not be served.

    Repeated slashes count as one: EL8's Anaconda joins `inst.stage2=http://S/tree/` with another.
    None for a dot segment in any spelling, a hidden name, a control character, an encoded slash, bytes that are no
    UTF-8, a trailing slash (directories are never listed), more than 2,048 characters.
    """
    if is_plain(url_path):
        return tuple(url_path[1:].split("/"))
    path = url_path.partition("?")[0]
    if not path.startswith("/") or path.endswith("/") or len(path) > LONGEST_PATH:
        return None
    names = [name for name in path.split("/") if name]
    if "%" in path or not path.isascii():
        decoded = [_decoded(name) for name in names]
        if None in decoded:
            return None
        names = [name for name in decoded if name is not None]
    if not names or not all(_may_be_served(name) for name in names[:-1]):
        return None
    return tuple(names) if names[-1] in VISIBLE_DOT_FILES or _may_be_served(names[-1]) else None


def is_plain(url_path: str) -> bool:
    """Tell whether a path is short and written in the one way that needs no decoding: two such name two files."""
    return len(url_path) <= _LONGEST_PLAIN and _PLAIN.fullmatch(url_path) is not None


def _decoded(name: str) -> str | None:
    try:
        decoded = unquote_to_bytes(name).decode()
    except UnicodeError:
        return None
    return None if "/" in decoded else decoded


def _may_be_served(name: str) -> bool:
    return not name.startswith(".") and name.isprintable() and "\\" not in name
