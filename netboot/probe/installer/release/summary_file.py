"""What a pull reads of a summary and of a delta index: the commit of each ref, and the digests of static deltas. Pure.

Formats: libostree's ostree-core.h (`OSTREE_SUMMARY_GVARIANT_FORMAT`), ostree-repo-private.h.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from netboot.content.ostree.gvariant import array_elements, tuple_ends
from netboot.content.ostree.repository import summary_refs
from netboot.errors import ContentError

_STATIC_DELTAS: Final = "ostree.static-deltas"
_INDEXED_DELTAS: Final = "ostree.summary.indexed-deltas"


@dataclass(frozen=True, slots=True)
class SummaryFile:
    """A summary: commits by ref, SHA-256 of superblocks by delta, and whether deltas are listed in indexes too."""

    refs: Mapping[str, str]
    deltas: Mapping[str, str]
    has_delta_indexes: bool


def read_summary(data: bytes) -> SummaryFile:
    """Read a summary `(a(s(taya{sv}))a{sv})`; raise ContentError if it is none."""
    refs = summary_refs(data)
    end_of_refs, end = tuple_ends(data, 1)
    values = dict(variants(data[aligned(end_of_refs) : end]))
    return SummaryFile(refs, _deltas_of(values), values.get(_INDEXED_DELTAS, ("", b""))[1] == b"\1")


def read_delta_index(data: bytes) -> Mapping[str, str]:
    """Read the digests of superblocks in a delta index `a{sv}`; raise ContentError if it is none."""
    return _deltas_of(dict(variants(data)))


def variants(data: bytes) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Yield key, type and value of each entry of a dictionary `a{sv}`."""
    for element in array_elements(data, alignment=8):
        end_of_key, end = tuple_ends(element, 1)
        value, nul, kind = element[aligned(end_of_key) : end].rpartition(b"\0")
        if not nul:
            raise ContentError("damaged GVariant data: a variant has no type")
        yield (
            element[:end_of_key].removesuffix(b"\0").decode("utf-8", "replace"),
            (kind.decode("ascii", "replace"), value),
        )


def aligned(offset: int) -> int:
    """Return the next multiple of 8, at which a member with 64-bit values begins."""
    return -(-offset // 8) * 8


def _deltas_of(values: Mapping[str, tuple[str, bytes]]) -> Mapping[str, str]:
    _, deltas = values.get(_STATIC_DELTAS, ("a{sv}", b""))
    return {name: digest.hex() for name, (kind, digest) in variants(deltas) if kind == "ay"}
