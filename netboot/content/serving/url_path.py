"""Splits the path of a URL, as a client wrote it, into the names of a file below a directory. Pure.

Never resolves a dot segment: a path that is not plainly a name below the root is rejected.
RFC 3986 §2.1 (percent-encoding), §3.3 (path).
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

LONGEST_PATH: Final = 2048
_LONGEST_PLAIN: Final = 512
# The paths of a pull, requested ten thousand times.
_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.+~-]*+)+")
VISIBLE_DOT_FILES: Final = frozenset({".treeinfo"})  # requested by Anaconda; no other hidden file is served


def segments(url_path: str) -> tuple[str, ...] | None:
    """Split a raw path (`/content/ol8/vmlinuz`, query allowed) into decoded names; None if it may not be served.

    Repeated slashes count as one: Anaconda of EL8 appends a slash to `inst.stage2=http://S/tree/`.
    None for a dot segment in any spelling, a hidden name, a control character, an encoded slash, bytes that are not
    UTF-8, a trailing slash (directories are never listed), more than 2,048 characters.
    """
    if is_plain(url_path):
        return tuple(url_path[1:].split("/"))
    path = url_path.partition("?")[0]
    if not path.startswith("/") or path.endswith("/") or len(path) > LONGEST_PATH:
        return None
    try:
        names = [unquote_to_bytes(name).decode() for name in path.split("/") if name]
    except UnicodeError:
        return None
    if not names or not all(_may_be_served(name) for name in names[:-1]):
        return None
    return tuple(names) if names[-1] in VISIBLE_DOT_FILES or _may_be_served(names[-1]) else None


def is_plain(url_path: str) -> bool:
    """Return whether a path is short and needs no decoding: two different ones name two different files."""
    return len(url_path) <= _LONGEST_PLAIN and _PLAIN.fullmatch(url_path) is not None


def _may_be_served(name: str) -> bool:
    return not name.startswith(".") and name.isprintable() and "\\" not in name and "/" not in name
