"""Reads one configuration file as text: of limited size, in UTF-8, with faults instead of exceptions."""

import grp
import os
import stat
from pathlib import Path
from typing import Final

from netboot.errors import NO_RIGHT, raise_without_descriptor
from netboot.yamlfile.faults import Faults, Place, position

SIZE_LIMIT_BYTES: Final = 4 * 1024 * 1024


def read_bytes(path: Path, faults: Faults, *, place: Place) -> bytes | None:
    """Return the content of a regular file of at most 4 MiB; None with a fault at `place` for anything else.

    Raise DescriptorsError if no descriptor is left to open it: it may be sound.
    """
    subject = "" if str(path) == place.file else f"{path} "  # a message names its file once
    try:
        # without O_NONBLOCK a FIFO instead of the file would block the daemon's reload
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                faults.add(place, "", what=f"{subject}is not a regular file", cure="name a file")
                return None
            content = file.read(SIZE_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise_without_descriptor(error)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        faults.add(place, "", what=f"{subject}cannot be read ({reason})", cure=_cure(error))
        return None
    if len(content) > SIZE_LIMIT_BYTES:
        faults.add(place, "", what=f"{subject}is larger than 4 MiB", cure="name the file that was meant")
        return None
    return content


def read_text(path: Path, faults: Faults, *, place: Place) -> str | None:
    """Return the text of a UTF-8 file; None with a fault, at the first byte that is not UTF-8."""
    content = read_bytes(path, faults, place=place)
    if content is None:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        line, column = position(before, len(before))
        spot = Place(str(path), line, column)
        byte = content[error.start]
        faults.add(spot, "", what=f"is not UTF-8 (byte 0x{byte:02x})", cure="save the file as UTF-8")
        return None


def _cure(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "write the file, or correct the name"
        case PermissionError():
            return "let the user that runs netboot read it" if _is_in_the_group() else NO_RIGHT
        case _:
            return "name a file that can be read"


def _is_in_the_group() -> bool:
    """Return whether this process is in the daemon's group, so that the file's own mode is the cause."""
    try:
        return grp.getgrnam("netboot").gr_gid in {os.getegid(), *os.getgroups()}
    except KeyError:
        return False
