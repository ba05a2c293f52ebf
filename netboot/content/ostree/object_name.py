"""The names of an OSTree archive's objects: `ab/cdef….filez` is digest `abcdef…` of kind `filez`. Pure."""

from typing import Final

KINDS: Final = {"commit": 1, "dirtree": 2, "dirmeta": 3, "filez": 4}  # what is named by its checksum
_DIGEST_BYTES: Final = 32


def object_key(directory: str, name: str) -> bytes | None:
    """Turn `ab` and `cdef….filez` into the 33 bytes that name an object; None where it is no object's name."""
    digest, dot, kind = name.partition(".")
    code = KINDS.get(kind)
    if code is None or not dot or len(directory) != 2 or len(digest) != 2 * _DIGEST_BYTES - 2:
        return None
    try:
        raw = bytes.fromhex(directory + digest)
    except ValueError:
        return None
    # fromhex skips blanks and takes upper case; an object has one spelling
    return raw + bytes((code,)) if raw.hex() == directory + digest else None
