"""Compares the `summary` of an OSTree archive with its refs: libostree installs the commit that the summary names.

A summary is a GVariant `(a(s(taya{sv}))a{sv})`: each ref with its commit (libostree's ostree-repo.c). One that names
another commit than the ref leads a pull to an old release or to objects that are gone, so it must not be served.
"""

from pathlib import Path
from typing import Final

from netboot.content.ostree.gvariant import array_elements, tuple_ends
from netboot.content.ostree.repository import checked_digest, read_ref
from netboot.errors import ContentError

NAME: Final = "summary"
SIGNATURE: Final = "summary.sig"
_LARGEST_BYTES: Final = 64 << 20


def summary_refs(data: bytes) -> dict[str, str]:
    """Read which commit a summary names for each ref; raise ContentError if it is not a summary."""
    refs = {}
    for element in array_elements(data[: tuple_ends(data, 1)[0]], alignment=8):
        end_of_name, end = tuple_ends(element, 1)
        value = element[-(-end_of_name // 8) * 8 : end]
        commit = value[8 : tuple_ends(value, 1)[0]]  # behind the commit's size, before its metadata
        refs[element[:end_of_name].removesuffix(b"\0").decode("utf-8", "replace")] = checked_digest(commit).hex()
    return refs


def summary_fault(root: Path) -> str | None:
    """Return how the summary of the archive at `root` differs from its ref; None if it agrees, or there is none."""
    try:
        with (root / NAME).open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    try:
        ref, commit = read_ref(root, root.name)
        named = summary_refs(data).get(ref)
    except ContentError as error:
        return f"it cannot be compared with the refs: {error}"
    if named == commit:
        return None
    return f"it names {f'commit {named}' if named else 'no commit'} for {ref}, and refs/heads/{ref} is {commit}"
