"""The names of an OSTree archive's objects: `ab/cdef….filez` is digest `abcdef…` of kind `filez`. Pure."""

from typing import Final

KINDS: Final = {"commit": 1, "dirtree": 2, "dirmeta": 3, "filez": 4}  # the kinds of objects named by their checksum
_DIGEST_BYTES: Final = 32


def object_key(directory: str, name: str) -> bytes | None:
    """Turn `ab` and `cdef….filez` into the 33-byte key of an object; None if it is not an object's name."""
    digest, dot, kind = name.partition(".")
    code = KINDS.get(kind)
    if code is None or not dot or len(directory) != 2 or len(digest) != 2 * _DIGEST_BYTES - 2:
        return None
    try:
        raw = bytes.fromhex(directory + digest)
    except ValueError:
        return None
    # fromhex skips blanks and accepts upper case; the name of an object has neither
    return raw + bytes((code,)) if raw.hex() == directory + digest else None
