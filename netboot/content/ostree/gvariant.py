"""The part of GVariant that OSTree commits and dirtrees use: arrays and tuples of byte strings and texts. Pure.

GVariant specification 1.0 §2.3 (framing offsets): a container of variable-size members ends with the end offsets of
its members, little-endian, their width depends on its length; those of a tuple are in reverse order, and its last
member has none. Every length is checked: damaged input raises ContentError, and no byte beyond it is read.
"""

from collections.abc import Iterator

from netboot.errors import ContentError


def offset_width(size: int) -> int:
    """Return the width in bytes of a framing offset in a container of this size."""
    return next(width for width in (1, 2, 4, 8) if size < 1 << 8 * width)


def tuple_ends(data: bytes, count: int) -> list[int]:
    """Read the `count` framing offsets of a tuple, in the order of its members, and after them the end of the last."""
    width = offset_width(len(data))
    last = len(data) - count * width
    if last < 0:
        raise ContentError(f"a tuple of {len(data)} bytes is too short for {count} framing offsets")
    ends = [int.from_bytes(data[at : at + width], "little") for at in range(len(data) - width, last - 1, -width)]
    ends.append(last)
    if ends != sorted(ends):
        raise ContentError("damaged GVariant data: a tuple's framing offsets do not rise")
    return ends


def array_elements(data: bytes, alignment: int = 1) -> Iterator[bytes]:
    """Yield the elements of an array of variable-size elements; each begins at a multiple of `alignment` bytes."""
    if not data:
        return
    width = offset_width(len(data))
    offsets_at = int.from_bytes(data[-width:], "little")
    if offsets_at > len(data) - width or (len(data) - offsets_at) % width:
        raise ContentError(f"an array of {len(data)} bytes ends in a framing offset of {offsets_at}")
    start = 0
    for at in range(offsets_at, len(data), width):
        end = int.from_bytes(data[at : at + width], "little")
        start = -(-start // alignment) * alignment
        if not start <= end <= offsets_at:
            raise ContentError("damaged GVariant data: an array's framing offsets do not rise")
        yield data[start:end]
        start = end
